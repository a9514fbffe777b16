"""Events → OpenAI Responses streams. Source: OpenAI's OpenAPI file, `ResponseStreamEvent`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from providers.base.names import OPENAI_RESPONSES
from providers.wire.core.base import AnswerContext
from providers.wire.core.ir import (
    Block,
    Failure,
    Foreign,
    JsonObject,
    Losses,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from providers.wire.core.jsonio import dumps
from providers.wire.core.stream_event import (
    BlockStart,
    BlockStop,
    CitationDelta,
    Delta,
    End,
    Event,
    SignatureDelta,
    Start,
    UsageUpdate,
    encode_each,
)
from providers.wire.errors import error_event
from providers.wire.openai_responses.response import (
    call_item,
    encode_annotation,
    encode_status,
    encode_usage,
    envelope,
    item_id,
    message_item,
    new_id,
    put_tier,
    sealed_signature,
    text_part,
)

_TELLING_CODES: Final = ("context_length_exceeded", "insufficient_quota", "invalid_prompt")


class ResponsesStreamEncoder:
    """Encoder of Responses events.

    Every event has its `sequence_number`. The final object holds exactly the items that were
    streamed.
    """

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        self._sequence = -1
        self._response: JsonObject = {}
        self._items: list[JsonObject] = []
        self._usage: Usage | None = None
        self._block: Block | None = None
        self._pieces: list[str] = []
        self._message: JsonObject | None = None
        self._base: JsonObject = {}
        self._delta_type = ""
        self.losses = Losses()
        self._handlers: dict[type[Any], Callable[[Any], bytes]] = {
            Delta: self._on_delta,
            Start: self._on_start,
            BlockStart: self._on_block_start,
            BlockStop: self._on_block_stop,
            SignatureDelta: self._on_signature,
            CitationDelta: self._on_citation,
            UsageUpdate: self._on_usage,
            End: self._on_end,
            Failure: self._on_failure,
        }

    def feed(self, events: Sequence[Event]) -> bytes:
        """See `StreamEncoder.feed`."""
        return encode_each(events, self._handlers)

    def _event(self, kind: str, body: JsonObject) -> bytes:
        self._sequence += 1
        data = dumps({"type": kind, "sequence_number": self._sequence, **body})
        return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"

    def _on_start(self, event: Start) -> bytes:
        self._response = envelope(self._context, event.id, event.model, event.created)
        self._usage = event.usage
        created = self._event("response.created", {"response": self._response})
        return created + self._event("response.in_progress", {"response": self._response})

    def _on_block_start(self, event: BlockStart) -> bytes:
        block = self._block = event.block
        self._pieces = []
        if isinstance(block, Text):
            return self._text_start(block)
        closed = self._close_message()
        if isinstance(block, ToolCall):
            item = call_item(block, new_id("fc"), "in_progress")
            kind = "custom_tool_call_input" if block.custom else "function_call_arguments"
            return closed + self._item_start(item, f"response.{kind}.delta")
        if isinstance(block, Thinking):
            block.id = block.id or None
            item = {"id": item_id(block), "type": "reasoning", "summary": []}
            return closed + self._item_start(item, "response.reasoning_summary_text.delta")
        if isinstance(block, Foreign) and block.vendor == OPENAI_RESPONSES:
            return closed + self._item_start(block.raw, "")
        self._block = None
        return closed

    def _item_start(self, item: JsonObject, delta_type: str) -> bytes:
        index = len(self._items)
        self._items.append(item)
        self._delta_type = delta_type
        self._base = {"item_id": item.get("id"), "output_index": index}
        if delta_type == "response.reasoning_summary_text.delta":
            self._base["summary_index"] = 0
        return self._event("response.output_item.added", {"output_index": index, "item": item})

    def _text_start(self, block: Text) -> bytes:
        out = b""
        if self._message is None:
            self._message = message_item(new_id("msg"), "in_progress")
            out = self._item_start(self._message, "")
        self._delta_type = (
            "response.refusal.delta" if block.refusal else "response.output_text.delta"
        )
        self._base = {
            "item_id": self._message["id"],
            "output_index": len(self._items) - 1,
            "content_index": len(self._message["content"]),
        }
        part = text_part(Text("", refusal=block.refusal))
        return out + self._event("response.content_part.added", {**self._base, "part": part})

    def _on_delta(self, event: Delta) -> bytes:
        block = self._block
        if block is None:
            return b""
        out = b""
        if isinstance(block, Thinking) and not self._pieces:
            part = {"type": "summary_text", "text": ""}
            out = self._event("response.reasoning_summary_part.added", {**self._base, "part": part})
        self._pieces.append(event.text)
        body = {**self._base, "delta": event.text}
        if isinstance(block, Text) and not block.refusal:
            body["logprobs"] = event.logprobs or []
            if event.logprobs:
                block.logprobs = [*block.logprobs, *event.logprobs]
        return out + self._event(self._delta_type, body)

    def _on_signature(self, event: SignatureDelta) -> bytes:
        if isinstance(self._block, Thinking):
            self._block.signature = event.signature
            self._block.vendor = event.vendor
        return b""

    def _on_citation(self, event: CitationDelta) -> bytes:
        if not isinstance(self._block, Text):
            return b""
        annotation = encode_annotation(event.citation, sum(map(len, self._pieces)))
        if annotation is None:
            return b""
        index = len(self._block.citations)
        self._block.citations = [*self._block.citations, event.citation]
        body = {**self._base, "annotation_index": index, "annotation": annotation}
        return self._event("response.output_text.annotation.added", body)

    def _on_block_stop(self, _: BlockStop) -> bytes:
        block, text = self._block, "".join(self._pieces)
        self._block = None
        if isinstance(block, Text):
            block.text = text
            return self._text_stop(block)
        if isinstance(block, ToolCall):
            return self._call_stop(block, text)
        if isinstance(block, Thinking):
            return self._thinking_stop(block, text)
        return self._item_stop(block.raw) if isinstance(block, Foreign) else b""

    def _text_stop(self, block: Text) -> bytes:
        part = text_part(block)
        if self._message is not None:
            self._message["content"].append(part)
        if block.refusal:
            done = self._event("response.refusal.done", {**self._base, "refusal": block.text})
        else:
            body = {**self._base, "text": block.text, "logprobs": list(block.logprobs)}
            done = self._event("response.output_text.done", body)
        return done + self._event("response.content_part.done", {**self._base, "part": part})

    def _call_stop(self, block: ToolCall, text: str) -> bytes:
        text = text or ("" if block.custom else "{}")
        key, kind = (
            ("input", "custom_tool_call_input")
            if block.custom
            else ("arguments", "function_call_arguments")
        )
        body = (
            {**self._base, key: text}
            if block.custom
            else {**self._base, "name": block.name, key: text}
        )
        done = self._event(f"response.{kind}.done", body)
        return done + self._item_stop({**self._items[-1], key: text, "status": "completed"})

    def _thinking_stop(self, block: Thinking, text: str) -> bytes:
        out = b""
        item = self._items[-1]
        if text:
            out = self._event("response.reasoning_summary_text.done", {**self._base, "text": text})
            part = {"type": "summary_text", "text": text}
            out += self._event("response.reasoning_summary_part.done", {**self._base, "part": part})
            item = {**item, "summary": [part]}
        if (encrypted := sealed_signature(block)) is not None:
            item = {**item, "encrypted_content": encrypted}
        return out + self._item_stop(item)

    def _item_stop(self, item: JsonObject) -> bytes:
        self._items[-1] = item
        return self._event(
            "response.output_item.done", {"output_index": len(self._items) - 1, "item": item}
        )

    def _close_message(self) -> bytes:
        message, self._message = self._message, None
        return self._item_stop({**message, "status": "completed"}) if message is not None else b""

    def _on_usage(self, event: UsageUpdate) -> bytes:
        self._usage = event.usage
        return b""

    def _on_end(self, event: End) -> bytes:
        closed = self._close_message()
        status = encode_status(event.finish)
        final = {
            **self._response,
            **status,
            "output": self._items,
            "usage": encode_usage(self._usage),
            **event.notes,
        }
        put_tier(final, self._usage)
        if status["status"] == "completed":
            final["completed_at"] = int(time.time())
        return closed + self._event(f"response.{status['status']}", {"response": final})

    def _on_failure(self, event: Failure) -> bytes:
        self._sequence += 1
        number = self._sequence
        error = error_event(
            OPENAI_RESPONSES, event.status, event.message, code=event.code, sequence_number=number
        )
        if not self._response:
            return error
        code = "rate_limit_exceeded" if event.status == 429 else "server_error"
        # Codex reads what it must do from these.
        if event.code in _TELLING_CODES:
            code = event.code
        inner = {"code": code, "message": event.message}
        failed = {**self._response, "status": "failed", "error": inner, "output": self._items}
        return error + self._event("response.failed", {"response": failed})
