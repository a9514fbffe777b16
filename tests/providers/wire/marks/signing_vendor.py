"""Scripted vendors that sign their reasoning, and refuse what they did not sign.

The rules are the documented ones; see `providers.wire.marks.native_request` for their sources, and
https://api-docs.deepseek.com/guides/thinking_mode for Chat's.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import Any, Protocol

from providers.base.names import WireFormatName
from providers.wire.rules.replay import ID_MARKS, PACKED, SEAL, SKIP_SIGNATURE_CHECK
from tests.providers.wire.asking import A, C, G, R

Json = dict[str, Any]
_PLAIN_ID = re.compile(r"[A-Za-z0-9_-]+")


class Vendor(Protocol):
    model: str
    host: str

    def answer(self) -> Json: ...
    def events(self, answer: Json) -> bytes: ...
    def problems(self, body: Json) -> list[str]: ...


class _Signing:
    """Common parts: issued signatures by the call that they belong to."""

    def __init__(self) -> None:
        self.issued: dict[str, str] = {}
        self.count = 0

    def sign(self, text: str) -> str:
        self.count += 1
        signature = b64encode(f"{type(self).__name__} signs {text} ".encode() * 12).decode()
        self.issued[text] = signature
        return signature

    @property
    def thought(self) -> str:
        return f"{type(self).__name__} thought {self.count}"


def marks_in(body: Json) -> list[str]:
    text = json.dumps(body)
    return [f"has the mark {mark}" for mark in (SEAL, PACKED, *ID_MARKS) if mark in text]


def strict_id_problems(calls: list[str], results: list[str]) -> list[str]:
    """Problems with ids of at most 64 plain characters, none of which comes twice."""
    found = [f"id {one!r} is refused" for one in calls if not _PLAIN_ID.fullmatch(one)]
    if len(set(calls)) < len(calls):
        found.append("an id comes twice")
    return found + id_problems(calls, results, 64)


def id_problems(calls: list[str], results: list[str], longest: int) -> list[str]:
    found = [f"id of {len(one)} characters" for one in calls if len(one) > longest]
    if sorted(calls) != sorted(results):
        found.append(f"calls {calls} have the results {results}")
    return found


class Anthropic(_Signing):
    model, host = "claude-opus-4-6", "api.anthropic.com"

    def answer(self) -> Json:
        text = self.thought
        content = [
            {"type": "thinking", "thinking": text, "signature": self.sign(text)},
            {"type": "text", "text": f"says {self.count}"},
            {"type": "tool_use", "id": f"toolu_01{self.count:022}", "name": "f", "input": {"a": 1}},
        ]
        usage = {"input_tokens": 1, "output_tokens": 1}
        head = {"id": "msg_1", "type": "message", "role": "assistant", "model": self.model}
        return {**head, "content": content, "stop_reason": "tool_use", "usage": usage}

    def events(self, answer: Json) -> bytes:
        out: list[Json] = [{"type": "message_start", "message": {**answer, "content": []}}]
        for index, block in enumerate(answer["content"]):
            kind = block["type"]
            start: Json = {"type": kind, kind: ""}
            deltas = [{"type": f"{kind}_delta", kind: block.get(kind)}]
            if kind == "thinking":
                start["signature"] = ""
                deltas.append({"type": "signature_delta", "signature": block["signature"]})
            elif kind == "tool_use":
                start = {**block, "input": {}}
                text = json.dumps(block["input"])
                deltas = [{"type": "input_json_delta", "partial_json": text}]
            place = {"index": index}
            out.append({"type": "content_block_start", **place, "content_block": start})
            out += [{"type": "content_block_delta", **place, "delta": delta} for delta in deltas]
            out.append({"type": "content_block_stop", **place})
        out.append({"type": "message_delta", "delta": {"stop_reason": "tool_use"}})
        out.append({"type": "message_stop"})
        return b"".join(sse(event, event["type"]) for event in out)

    def problems(self, body: Json) -> list[str]:
        found, calls, results, seen = marks_in(body), [], [], []
        for message in body["messages"]:
            content = message["content"]
            for block in content if isinstance(content, list) else []:
                if block["type"] == "thinking":
                    seen.append(block["thinking"])
                    if self.issued.get(block["thinking"]) != block["signature"]:
                        found.append("Invalid `signature` in `thinking` block")
                elif block["type"] == "tool_use":
                    calls.append(block["id"])
                elif block["type"] == "tool_result":
                    results.append(block["tool_use_id"])
                elif block["type"] == "text" and not block["text"].strip():
                    found.append("text content blocks must be non-empty")
        return found + strict_id_problems(calls, results) + _missing(self, seen)


class Responses(_Signing):
    model, host = "gpt-5.2", "api.openai.com"

    def answer(self) -> Json:
        text = self.thought
        reasoning = {
            "type": "reasoning",
            "id": f"rs_{self.count}",
            "summary": [{"type": "summary_text", "text": text}],
            "encrypted_content": self.sign(text),
        }
        call = {
            "type": "function_call",
            "id": f"fc_{self.count}",
            "call_id": f"call_{self.count:024}",
            "name": "f",
            "arguments": '{"a":1}',
            "status": "completed",
        }
        head = {"id": "resp_1", "object": "response", "status": "completed", "model": self.model}
        return {**head, "output": [reasoning, call]}

    def events(self, answer: Json) -> bytes:
        opened = {**answer, "output": [], "status": "in_progress"}
        out: list[Json] = [{"type": "response.created", "response": opened}]
        for index, item in enumerate(answer["output"]):
            empty: Json = {"summary": []} if item["type"] == "reasoning" else {"arguments": ""}
            added = {**item, **empty}
            added.pop("encrypted_content", None)
            out.append({"type": "response.output_item.added", "output_index": index, "item": added})
            out.append({"type": "response.output_item.done", "output_index": index, "item": item})
        out.append({"type": "response.completed", "response": answer})
        return b"".join(sse(event, event["type"]) for event in out)

    def problems(self, body: Json) -> list[str]:
        found, calls, results, seen = marks_in(body), [], [], []
        for item in body["input"]:
            kind = item.get("type", "message")
            if kind == "reasoning":
                text = "".join(part["text"] for part in item["summary"])
                seen.append(text)
                if self.issued.get(text) != item.get("encrypted_content"):
                    found.append("invalid_encrypted_content")
                if not item["id"].startswith("rs_") or len(item["id"]) > 8:
                    found.append(f"unknown item {item['id']!r}")
            elif kind == "function_call":
                calls.append(item["call_id"])
            elif kind == "function_call_output":
                results.append(item["call_id"])
        return found + strict_id_problems(calls, results) + _missing(self, seen)


class Chat(_Signing):
    """DeepSeek: its plain reasoning must come back."""

    model, host = "deepseek-reasoner", "api.deepseek.com"

    def answer(self) -> Json:
        text = self.thought
        self.sign(text)
        function = {"name": "f", "arguments": '{"a":1}'}
        # Like servers of open models, it counts its calls from 0 in every response.
        call = {"id": "f:0", "type": "function", "function": function}
        message = {"role": "assistant", "content": None, "reasoning_content": text}
        choice = {"index": 0, "finish_reason": "tool_calls"}
        choice["message"] = {**message, "tool_calls": [call]}
        return {"id": "c1", "object": "chat.completion", "model": self.model, "choices": [choice]}

    def events(self, answer: Json) -> bytes:
        message = answer["choices"][0]["message"]
        calls = [{"index": 0, **message["tool_calls"][0]}]
        deltas: list[Json] = [{"reasoning_content": message["reasoning_content"]}]
        deltas.append({"tool_calls": calls})
        out = b""
        for delta, finish in zip([*deltas, {}], [None, None, "tool_calls"], strict=True):
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            out += sse({"id": "c1", "model": self.model, "choices": [choice]})
        return out + b"data: [DONE]\n\n"

    def problems(self, body: Json) -> list[str]:
        found, calls, results, seen = marks_in(body), [], [], []
        for message in body["messages"]:
            thought = message.get("reasoning_content")
            if thought is not None:
                # A Chat client sends back all reasoning; DeepSeek reads its own.
                seen += [thought] if thought in self.issued else []
            calls += [call["id"] for call in message.get("tool_calls", [])]
            results += [message["tool_call_id"]] if message["role"] == "tool" else []
        return found + id_problems(calls, results, 40) + _missing(self, seen)


class Google(_Signing):
    model, host = "gemini-3-pro-preview", "generativelanguage.googleapis.com"

    def answer(self) -> Json:
        text = self.thought
        call = {"functionCall": {"name": "f", "args": {"a": 1}, "id": f"g{self.count}"}}
        call["thoughtSignature"] = self.sign(text)  # type: ignore[assignment]
        parts = [{"text": text, "thought": True}, call]
        candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}
        return {"candidates": [candidate], "modelVersion": self.model, "responseId": "r1"}

    def events(self, answer: Json) -> bytes:
        out = b""
        for part in answer["candidates"][0]["content"]["parts"]:
            out += sse({**answer, "candidates": [{"content": {"role": "model", "parts": [part]}}]})
        last = {"content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": "STOP"}
        return out + sse({**answer, "candidates": [last]})

    def problems(self, body: Json) -> list[str]:
        found, calls, results, seen = marks_in(body), [], [], []
        by_signature = {signature: text for text, signature in self.issued.items()}
        for content in body["contents"]:
            of_content = [part for part in content["parts"] if "functionCall" in part]
            for index, part in enumerate(of_content):
                signature = part.get("thoughtSignature")
                calls.append(part["functionCall"]["id"])
                if signature in by_signature:
                    seen.append(by_signature[signature])
                elif signature != SKIP_SIGNATURE_CHECK and not (index and signature is None):
                    found.append(f"Function call is missing a thought_signature: {signature}")
            for part in content["parts"]:
                if "functionResponse" in part:
                    results.append(part["functionResponse"]["id"])
        return found + id_problems(calls, results, 999) + _missing(self, seen)


def _missing(vendor: _Signing, seen: list[str]) -> list[str]:
    """What the vendor made in this tool loop and did not get back, in its order."""
    return [] if seen == list(vendor.issued) else [f"of {list(vendor.issued)} came {seen}"]


def sse(body: Json, name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(body)}\n\n".encode()


VENDORS: dict[WireFormatName, type[Vendor]] = {A: Anthropic, C: Chat, R: Responses, G: Google}
