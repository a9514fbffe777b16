"""Rules about the order and the form of messages for which vendors refuse a request with 400.

Anthropic: https://platform.claude.com/docs/en/build-with-claude/working-with-messages and
https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use. OpenAI:
https://platform.openai.com/docs/guides/function-calling. Google:
https://ai.google.dev/gemini-api/docs/function-calling.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)

JsonObject = dict[str, Any]
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def mistakes(dst: WireFormatName, body: JsonObject) -> list[str]:
    """Return what the vendor would refuse about the messages of a request.

    Calls at the very end wait for their results, in every format.
    """
    checks = {
        ANTHROPIC_MESSAGES: _anthropic,
        OPENAI_CHAT: _chat,
        OPENAI_RESPONSES: _responses,
        GOOGLE_GENERATE: _google,
    }
    return list(checks[dst](body))


def _anthropic(body: JsonObject) -> Iterator[str]:
    messages = body["messages"]
    if not messages or messages[0]["role"] != "user":
        yield "the first message is not the user's"
    ids: list[str] = []
    waiting: list[str] = []
    before = ""
    for message in messages:
        blocks = message["content"]
        if message["role"] == before or not blocks:
            yield "two messages of one role, or an empty one"
        before = message["role"]
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        if sorted(results) != sorted(waiting):
            yield f"results of {results} for calls {waiting}"
        if any(block["type"] != "tool_result" for block in blocks[: len(results)]):
            yield "results are not the first blocks"
        if any(block["type"] == "text" and not block["text"].strip() for block in blocks):
            yield "a text of white space"
        calls = [block for block in blocks if block["type"] == "tool_use"]
        waiting = [call["id"] for call in calls]
        ids += waiting
        for call in calls:
            if not _NAME.fullmatch(call["id"]) or not _NAME.fullmatch(call["name"]):
                yield "an id or a name with refused characters"
            if not isinstance(call["input"], dict):
                yield "an input that is no object"
    if len(ids) != len(set(ids)):
        yield "an id that comes twice"


def _chat(body: JsonObject) -> Iterator[str]:
    waiting: list[str] = []
    if not body["messages"]:
        yield "no messages"
    for message in body["messages"]:
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                yield "a result without its call"
                continue
            waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            yield "a call without its result"
        calls = message.get("tool_calls", [])
        waiting = [call["id"] for call in calls]
        if any(not 0 < len(call_id) <= 40 for call_id in waiting):
            yield "an id beyond 40 characters"
        for call in calls:
            if not _NAME.fullmatch(call["function"]["name"]):
                yield "a name with refused characters"
            if not call["function"]["arguments"].strip():
                yield "arguments of white space"
        says = message.get("content") is not None or message.get("refusal")
        if not calls and not says:
            yield "a message without content"


def _responses(body: JsonObject) -> Iterator[str]:
    calls: list[str] = []
    answered: list[str] = []
    if not body["input"]:
        yield "no input"
    for item in body["input"]:
        kind = item.get("type")
        if kind == "function_call":
            calls.append(item["call_id"])
            if not _NAME.fullmatch(item["call_id"]) or not _NAME.fullmatch(item["name"]):
                yield "an id or a name with refused characters"
            if not item["arguments"].strip():
                yield "arguments of white space"
        elif kind == "function_call_output":
            if item["call_id"] not in calls or item["call_id"] in answered:
                yield "an output without its call"
            answered.append(item["call_id"])
    if len(calls) != len(set(calls)):
        yield "an id that comes twice"


def _google(body: JsonObject) -> Iterator[str]:
    waiting = 0
    before = ""
    for content in body["contents"]:
        parts = content["parts"]
        if content["role"] == before or not parts:
            yield "two contents of one role, or an empty one"
        before = content["role"]
        if any(part.get("text") == "" for part in parts):
            yield "an empty text"
        results = [part for part in parts if "functionResponse" in part]
        if content["role"] == "user" and len(results) != waiting:
            yield f"{len(results)} results for {waiting} calls"
        waiting = len([part for part in parts if "functionCall" in part])
