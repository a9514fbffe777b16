"""OpenAI Responses streams → events.

Source: OpenAI's OpenAPI file, `ResponseStreamEvent`;
https://platform.openai.com/docs/api-reference/responses-streaming.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final

from providers.base.names import OPENAI_RESPONSES
from providers.wire.core.ir import (
    Block,
    CitationDelta,
    Delta,
    End,
    Event,
    Failure,
    JsonObject,
    SignatureDelta,
    Start,
    Text,
    Thinking,
    ToolCall,
    UsageUpdate,
)
from providers.wire.core.jsonio import loads
from providers.wire.core.shape import a_string, an_object, count, maybe_string
from providers.wire.core.sse import SseEvent
from providers.wire.openai_responses.request_decode import decode_annotation
from providers.wire.openai_responses.response import (
    decode_finish,
    decode_item,
    decode_output,
    decode_usage,
    failure_message,
)
from providers.wire.rules.events import whole
from providers.wire.rules.sequence import Sequencer

_CUT: Final = "The provider's stream ended before its answer was complete."
_STATUS_OF_CODE: Final = {
    "rate_limit_exceeded": 429,
    "server_overloaded": 503,
    "invalid_prompt": 400,
}


class ResponsesStreamDecoder:
    """Decoder of Responses events.

    Keys of blocks: `(output_index,)` for an item, `(output_index, content_index)` for a part of a
    message.
    """

    def __init__(self) -> None:
        self._blocks = Sequencer()
        self._started = False
        self._done = False
        self._called: list[Block] = []
        self._seen_any = False
        self._lengths: dict[Hashable, int] = {}
        self._handlers: dict[str, Callable[[JsonObject, list[Event]], None]] = {
            "response.output_text.delta": self._text_delta,
            "response.refusal.delta": self._text_delta,
            "response.function_call_arguments.delta": self._item_delta,
            "response.custom_tool_call_input.delta": self._item_delta,
            "response.reasoning_summary_text.delta": self._item_delta,
            "response.reasoning_text.delta": self._item_delta,
            "response.reasoning_summary_part.added": self._summary_part,
            "response.output_item.added": self._item_added,
            "response.output_item.done": self._item_done,
            "response.content_part.added": self._part_added,
            "response.content_part.done": self._part_done,
            "response.output_text.annotation.added": self._annotation,
            "response.completed": self._terminal,
            "response.incomplete": self._terminal,
            "response.failed": self._failed,
            "response.cancelled": self._failed,
            "error": self._error,
        }

    def feed(self, event: SseEvent) -> list[Event]:
        """See `StreamDecoder.feed`."""
        if self._done or event.data.strip() == b"[DONE]":
            return []
        body = an_object(loads(event.data), "event")
        out: list[Event] = []
        # `response.created` carries id and model; any event with a response will do, because some
        # compatible servers leave it out.
        if not self._started and isinstance(body.get("response"), dict):
            self._start(body["response"], out)
        if handler := self._handlers.get(body.get("type") or event.event):
            handler(body, out)
        return out

    def flush(self) -> list[Event]:
        """See `StreamDecoder.flush`."""
        return [] if self._done else [Failure(_CUT)]

    def _start(self, response: JsonObject, out: list[Event]) -> None:
        self._started = True
        out.append(
            Start(response.get("id"), response.get("model"), count(response.get("created_at")))
        )

    def _open(self, key: Hashable, block: Block, out: list[Event]) -> None:
        if not self._started:
            self._start({}, out)
        self._seen_any = True
        self._lengths[key] = 0
        self._blocks.open(key, block, out)

    def _add(self, key: Hashable, text: str, out: list[Event], logprobs: Any = None) -> None:
        if text:
            self._lengths[key] = self._lengths.get(key, 0) + len(text)
            self._blocks.add(key, Delta(text, logprobs or None), out)

    def _item_added(self, body: JsonObject, out: list[Event]) -> None:
        key = (body.get("output_index"),)
        item = an_object(body.get("item"), "item")
        if item.get("type") in ("function_call", "custom_tool_call"):
            block = decode_item(item, "item")
            assert isinstance(block, ToolCall)  # noqa: S101 - decode_item's own rule
            # OpenAI starts with empty arguments, compatible servers may send all at once.
            first, block.arguments = str(block.arguments), ""
            self._called.append(block)
            self._open(key, block, out)
            self._add(key, first, out)
        elif item.get("type") == "reasoning":
            block = Thinking("", None, OPENAI_RESPONSES, id=maybe_string(item, "id"))
            self._open(key, block, out)

    def _part_added(self, body: JsonObject, out: list[Event]) -> None:
        part = an_object(body.get("part"), "part")
        if part.get("type") in ("output_text", "refusal"):
            key = (body.get("output_index"), body.get("content_index"))
            self._open(key, Text("", refusal=part["type"] == "refusal"), out)
            self._add(key, str(part.get("text") or part.get("refusal") or ""), out)

    def _text_delta(self, body: JsonObject, out: list[Event]) -> None:
        key = (body.get("output_index"), body.get("content_index"))
        # Servers that skip `content_part.added` begin a part with its first delta.
        if not self._blocks.is_open(key):
            self._open(key, Text("", refusal=body["type"] == "response.refusal.delta"), out)
        self._add(key, a_string(body.get("delta"), "delta"), out, body.get("logprobs"))

    def _item_delta(self, body: JsonObject, out: list[Event]) -> None:
        self._add((body.get("output_index"),), a_string(body.get("delta"), "delta"), out)

    def _summary_part(self, body: JsonObject, out: list[Event]) -> None:
        key = (body.get("output_index"),)
        # A reasoning item has several summaries; buffered, they are joined the same way.
        if self._lengths.get(key):
            self._add(key, "\n\n", out)

    def _annotation(self, body: JsonObject, out: list[Event]) -> None:
        key = (body.get("output_index"), body.get("content_index"))
        citation = decode_annotation(an_object(body.get("annotation"), "annotation"))
        self._blocks.add(key, CitationDelta(citation), out)

    def _part_done(self, body: JsonObject, out: list[Event]) -> None:
        self._blocks.close((body.get("output_index"), body.get("content_index")), out)

    def _item_done(self, body: JsonObject, out: list[Event]) -> None:
        index = body.get("output_index")
        key = (index,)
        item = an_object(body.get("item"), "item")
        kind = item.get("type")
        if kind == "message":
            self._close_parts(index, out)
            return
        # Items of the vendor's own tools have no deltas we know: they open when they are done.
        if not self._blocks.is_open(key):
            if kind in ("function_call", "custom_tool_call", "reasoning"):
                self._item_added(body, out)
            else:
                self._open(key, decode_item(item, "item"), out)
        self._complete_item(key, item, out)
        self._blocks.close(key, out)

    def _complete_item(self, key: Hashable, item: JsonObject, out: list[Event]) -> None:
        """Add what a server only sends at an item's end: arguments, summary, encrypted content."""
        block = decode_item(item, "item")
        had_no_delta = self._lengths.get(key) == 0
        if isinstance(block, ToolCall):
            if had_no_delta:
                self._add(key, str(block.arguments), out)
        elif isinstance(block, Thinking):
            if had_no_delta:
                self._add(key, block.text, out)
            # The encrypted content only comes with `output_item.done`.
            if block.signature and block.vendor is not None:
                self._blocks.add(key, SignatureDelta(block.signature, block.vendor), out)

    def _close_parts(self, index: Any, out: list[Event]) -> None:
        for key in list(self._lengths):
            is_part = isinstance(key, tuple) and len(key) == 2 and key[0] == index
            if is_part and self._blocks.is_open(key):
                self._blocks.close(key, out)

    def _terminal(self, body: JsonObject, out: list[Event]) -> None:
        response = an_object(body.get("response"), "response")
        self._blocks.close_all(out)
        blocks = self._called
        # A stream without items has everything in its last event.
        if not self._seen_any and response.get("output"):
            blocks = decode_output(response["output"])
            for block in blocks:
                out.extend(whole(block))
        if (usage := decode_usage(response.get("usage"))) is not None:
            out.append(UsageUpdate(usage))
        self._done = True
        out.append(End(decode_finish(response, blocks)))

    def _failed(self, body: JsonObject, out: list[Event]) -> None:
        response = an_object(body.get("response"), "response")
        error = response.get("error")
        code = error.get("code") if isinstance(error, dict) else None
        self._done = True
        out.append(
            Failure(failure_message(response), _STATUS_OF_CODE.get(str(code), 500), code=code)
        )

    def _error(self, body: JsonObject, out: list[Event]) -> None:
        # OpenAI has the fields in the event itself, some servers nest them as in an error body.
        nested = body.get("error")
        inner = nested if isinstance(nested, dict) else body
        code = inner.get("code")
        if not isinstance(code, str):
            code = None
        self._done = True
        message = str(inner.get("message") or code or "unknown error")
        out.append(Failure(message, _STATUS_OF_CODE.get(str(code), 500), code=code))
