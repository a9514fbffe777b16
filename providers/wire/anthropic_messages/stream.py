"""Anthropic Messages streams: SSE events ↔ neutral events.

Source: Anthropic docs, "Streaming Messages",
https://docs.anthropic.com/en/docs/build-with-claude/streaming.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from providers.base.names import ANTHROPIC_MESSAGES
from providers.wire.anthropic_messages.request_decode import decode_blocks, decode_citation
from providers.wire.anthropic_messages.response import (
    after_calls,
    decode_finish,
    decode_usage,
    encode_answer_block,
    encode_citation,
    encode_finish,
    encode_usage,
    message_of,
    new_id,
)
from providers.wire.core.base import AnswerContext
from providers.wire.core.event_json import Watch, event_bodies
from providers.wire.core.ir import (
    Block,
    Failure,
    Finish,
    Foreign,
    JsonObject,
    Losses,
    Text,
    Thinking,
    ToolCall,
    Usage,
    merged_usage,
)
from providers.wire.core.jsonio import dumps, loads
from providers.wire.core.shape import a_string, an_object, name_of
from providers.wire.core.sse import SseEvent
from providers.wire.core.stream_event import (
    BlockStart,
    BlockStop,
    CitationDelta,
    Delta,
    End,
    Event,
    Ping,
    SignatureDelta,
    Start,
    UsageUpdate,
)
from providers.wire.errors import error_event
from providers.wire.failures.reported_failure import failure_of_event
from providers.wire.rules.replay import sealed_thinking
from providers.wire.rules.sequence import Sequencer
from providers.wire.rules.usage_search import usage_in

_TEXT: Final = "text"
_THINKING: Final = "thinking"
_CALL: Final = "tool call"
_OTHER: Final = "other"
_KINDS: Final = (_TEXT, _THINKING, _CALL, _OTHER)
_DELTA_TYPES: Final = {
    "text": "text_delta",
    "partial_json": "input_json_delta",
    "thinking": "thinking_delta",
    "signature": "signature_delta",
}
CUT: Final = "The provider's stream ended before its answer was complete."


class AnthropicStreamDecoder:
    """Decoder of Anthropic's stream events: messages, content blocks, pings and errors."""

    def __init__(self) -> None:
        self.losses = Losses()
        self.watch: Watch | None = None
        self._blocks = Sequencer()
        self._keys: dict[tuple[Any, str], int] = {}  # index and kind → key of the latest block
        self._latest: dict[str, int] = {}  # kind → key of the latest block
        self._last_index: Any = None
        self._serial = 0
        self._called = False
        self._usage: Usage | None = None
        self._finish: Finish | None = None
        self._foreign: dict[Any, tuple[Foreign, list[str]]] = {}
        self._done = False
        self._handlers: dict[str, Callable[[JsonObject, list[Event]], None]] = {
            "content_block_delta": self._delta,
            "content_block_start": self._block_start,
            "content_block_stop": self._block_stop,
            "message_start": self._message_start,
            "message_delta": self._message_delta,
            "message_stop": self._message_stop,
            "ping": lambda _, out: out.append(Ping()),
        }

    def feed(self, event: SseEvent) -> list[Event]:
        """See `StreamDecoder.feed`."""
        if not self._done and (failure := failure_of_event(event)) is not None:
            self._done = True
            return [failure]
        out: list[Event] = []
        for body in event_bodies(event):
            if self.watch is not None:
                self.watch(body)
            kind = body.get("type") or event.event
            # New kinds of events may come at any time, and clients are asked to ignore them:
            # https://docs.anthropic.com/en/api/versioning
            handler = self._handlers.get(kind) if isinstance(kind, str) else None
            if handler is not None and not self._done:
                handler(body, out)
        return out

    def flush(self) -> list[Event]:
        """See `StreamDecoder.flush`."""
        if self._done:
            return []
        if self._finish is None:
            return [Failure(CUT)]
        # With a stop reason the message is complete, although `message_stop` is missing.
        out: list[Event] = []
        self._message_stop({}, out)
        return out

    def held(self) -> list[Event]:
        """See `StreamDecoder.held`."""
        out: list[Event] = []
        for index in list(self._foreign):
            self._stop_foreign(index, out, cut=True)
        self._blocks.close_all(out)
        return out

    def _message_start(self, body: JsonObject, out: list[Event]) -> None:
        message = message_of(body)
        self._usage = decode_usage(message.get("usage"))
        out.append(
            Start(name_of(message.get("id")), name_of(message.get("model")), usage=self._usage)
        )

    def _block_start(self, body: JsonObject, out: list[Event]) -> None:
        index = self._last_index = body.get("index")
        raw = an_object(body.get("content_block"), "content_block")
        (block,) = decode_blocks([raw], "content_block")
        # Anthropic starts blocks empty. Compatible servers may put the first text here already.
        first = ""
        if isinstance(block, Text):
            first, block.text = block.text, ""
        elif isinstance(block, Thinking) and not block.redacted:
            first = block.text
            block = Thinking("", None, ANTHROPIC_MESSAGES)
        elif isinstance(block, ToolCall):
            self._called = True
            if block.arguments:
                first = dumps(block.arguments).decode()
            block.arguments = ""
        elif isinstance(block, Foreign):
            # Its input or content comes as deltas of its own; it is sent complete when it stops.
            self._foreign[index] = (block, [])
            return
        key = self._open(index, block, out)
        if first:
            self._blocks.add(key, Delta(first), out)

    def _open(self, index: Any, block: Block, out: list[Event]) -> int:
        """Begin a block. Servers may give the same index to several, or none."""
        kind = _kind_of(block)
        # Nothing can be added to the earlier block of an index: its deltas would name this one.
        if (earlier := self._keys.get((index, kind))) is not None:
            self._blocks.close(earlier, out)
        self._serial += 1
        self._keys[index, kind] = self._latest[kind] = self._serial
        self._blocks.open(self._serial, block, out)
        return self._serial

    def _add(self, index: Any, kind: str, event: Event, out: list[Event]) -> None:
        """Add a delta to the block that it names, or that it must mean."""
        key = self._keys.get((index, kind))
        if key is None:
            # Without a usable index, a delta continues the latest block of its kind.
            key = self._latest.get(kind)
        if key is not None and self._blocks.add(key, event, out):
            return
        if kind == _CALL or not isinstance(event, Delta):
            self.losses.add("content", f"A {kind} delta without an open block was dropped.")
            return
        # A text without its start, or after its stop.
        block = Text("") if kind == _TEXT else Thinking("", None, ANTHROPIC_MESSAGES)
        self._blocks.add(self._open(index, block, out), event, out)

    def _delta(self, body: JsonObject, out: list[Event]) -> None:
        index = body.get("index")
        delta = an_object(body.get("delta"), "delta")
        kind = delta.get("type") or _type_of(delta)
        if index is None:
            index = self._last_index
        if index in self._foreign:
            self._foreign_delta(index, delta)
        elif kind == "text_delta":
            text = a_string(delta.get("text"), "delta.text")
            self._add(index, _TEXT, Delta(text), out)
        elif kind == "input_json_delta":
            if text := a_string(delta.get("partial_json"), "delta.partial_json"):
                self._add(index, _CALL, Delta(text), out)
        elif kind == "thinking_delta":
            text = a_string(delta.get("thinking"), "delta.thinking")
            self._add(index, _THINKING, Delta(text), out)
        elif kind == "signature_delta":
            signature = a_string(delta.get("signature"), "delta.signature")
            self._add(index, _THINKING, SignatureDelta(signature, ANTHROPIC_MESSAGES), out)
        elif kind == "citations_delta":
            citation = decode_citation(an_object(delta.get("citation"), "delta.citation"))
            self._add(index, _TEXT, CitationDelta(citation), out)
        else:
            self.losses.add("content", f"A delta of type {str(kind)[:40]!r} was dropped.")

    def _foreign_delta(self, index: Any, delta: JsonObject) -> None:
        block, pieces = self._foreign[index]
        if delta.get("type") == "input_json_delta":
            pieces.append(a_string(delta.get("partial_json"), "delta.partial_json"))
        else:
            # Each delta replaces fields of the block: {"type": "x_delta", "content": […]}
            fields = {key: value for key, value in delta.items() if key != "type"}
            block.raw.update({key: value for key, value in fields.items() if value is not None})

    def _block_stop(self, body: JsonObject, out: list[Event]) -> None:
        index = body.get("index")
        if index is None:
            index = self._last_index
        self._stop_foreign(index, out)
        for kind in _KINDS:
            if (key := self._keys.get((index, kind))) is not None:
                self._blocks.close(key, out)

    def _stop_foreign(self, index: Any, out: list[Event], *, cut: bool = False) -> None:
        if (held := self._foreign.pop(index, None)) is None:
            return
        block, pieces = held
        if text := "".join(pieces):
            # The part of an input that came before a cut is no JSON.
            block.raw["input"] = text if cut else loads(text)
        self._open(index, block, out)

    def _message_delta(self, body: JsonObject, out: list[Event]) -> None:
        delta = an_object(body.get("delta") or {}, "delta")
        # Its counts are cumulative, and complete those of `message_start`.
        self._count(usage_in(body) or usage_in(delta), out)
        if delta.get("stop_reason"):
            self._finish = decode_finish(delta)

    def _count(self, raw: JsonObject | None, out: list[Event]) -> None:
        if (usage := decode_usage(raw)) is not None:
            self._usage = merged_usage(self._usage, usage)
            out.append(UsageUpdate(self._usage))

    def _message_stop(self, body: JsonObject, out: list[Event]) -> None:
        for index in list(self._foreign):
            self._stop_foreign(index, out)
        self._blocks.close_all(out)
        self._count(usage_in(body), out)
        self._done = True
        out.append(End(after_calls(self._finish or Finish("stop"), self._called)))


def _type_of(delta: JsonObject) -> str | None:
    """Return the type of a delta that does not name it, by its field: {"text": "a"} → text_delta"""
    return next((kind for field, kind in _DELTA_TYPES.items() if field in delta), None)


def _kind_of(block: Block) -> str:
    if isinstance(block, Text):
        return _TEXT
    if isinstance(block, Thinking):
        return _THINKING
    return _CALL if isinstance(block, ToolCall) else _OTHER


class AnthropicStreamEncoder:
    """Encoder of Anthropic's stream grammar."""

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        self._index = -1
        self._block: Block | None = None
        self._delta_kind = ("", "")
        self._usage: Usage | None = None
        self._started = False
        self._open = False
        self._text: list[str] = []
        self._refused = False
        self.losses = Losses()
        self._handlers: dict[type[Any], Callable[[Any], bytes]] = {
            Delta: self._on_delta,
            Start: self._on_start,
            BlockStart: self._on_block_start,
            BlockStop: self._on_block_stop,
            SignatureDelta: self._on_signature,
            CitationDelta: self._on_citation,
            UsageUpdate: self._on_usage,
            Ping: lambda _: b'event: ping\ndata: {"type":"ping"}\n\n' if self._started else b"",
            End: self._on_end,
            Failure: lambda event: error_event(
                ANTHROPIC_MESSAGES, event.status, event.message, kind=event.kind
            ),
        }

    def feed(self, events: Sequence[Event]) -> bytes:
        """See `StreamEncoder.feed`."""
        return b"".join([self._handlers[type(event)](event) for event in events])

    def _on_start(self, event: Start) -> bytes:
        self._started = True
        self._usage = event.usage
        message: JsonObject = {
            "id": event.id or new_id(),
            "type": "message",
            "role": "assistant",
            "model": event.model or self._context.model or "",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": encode_usage(event.usage),
        }
        return _event("message_start", {"type": "message_start", "message": message})

    def _on_block_start(self, event: BlockStart) -> bytes:
        block = event.block
        self._block, self._text = block, []
        if isinstance(block, Text):
            self._refused = self._refused or block.refusal
            body: JsonObject = {"type": "text", "text": ""}
            self._delta_kind = ("text_delta", "text")
        elif isinstance(block, Thinking) and not block.redacted:
            body = {"type": "thinking", "thinking": "", "signature": ""}
            self._delta_kind = ("thinking_delta", "thinking")
        else:
            parts = encode_answer_block(block, self.losses)
            if not parts:
                return b""
            body = parts[0]
            self._delta_kind = ("input_json_delta", "partial_json")
        self._index += 1
        self._open = True
        start = {"type": "content_block_start", "index": self._index, "content_block": body}
        return _event("content_block_start", start)

    def _on_delta(self, event: Delta) -> bytes:
        if not self._open:
            return b""
        self._text.append(event.text)
        # The hottest line of a stream: one dict, one dump, no further call.
        kind, key = self._delta_kind
        delta = {
            "type": "content_block_delta",
            "index": self._index,
            "delta": {"type": kind, key: event.text},
        }
        return b"event: content_block_delta\ndata: " + dumps(delta) + b"\n\n"

    def _on_signature(self, event: SignatureDelta) -> bytes:
        if not isinstance(self._block, Thinking):
            return b""
        self._block.signature, self._block.vendor = event.signature, event.vendor
        signature = event.signature
        if event.vendor != ANTHROPIC_MESSAGES:
            signature = sealed_thinking(self._block)
        return self._any_delta({"type": "signature_delta", "signature": signature})

    def _on_citation(self, event: CitationDelta) -> bytes:
        if not self._open:
            return b""
        raw = encode_citation(event.citation, "".join(self._text))
        if not raw:
            return b""
        return self._any_delta({"type": "citations_delta", "citation": raw})

    def _any_delta(self, delta: JsonObject) -> bytes:
        body = {"type": "content_block_delta", "index": self._index, "delta": delta}
        return _event("content_block_delta", body)

    def _on_block_stop(self, _: BlockStop) -> bytes:
        if not self._open:
            return b""
        self._open = False
        stop = {"type": "content_block_stop", "index": self._index}
        return self._mark() + _event("content_block_stop", stop)

    def _mark(self) -> bytes:
        """Sign reasoning that its vendor did not sign, so that it is known when it returns."""
        block = self._block
        if not isinstance(block, Thinking) or block.redacted or block.signature:
            return b""
        if block.vendor in (None, ANTHROPIC_MESSAGES):
            return b""
        return self._any_delta({"type": "signature_delta", "signature": sealed_thinking(block)})

    def _on_usage(self, event: UsageUpdate) -> bytes:
        # Only the first event and the last but one carry usage in Anthropic's grammar.
        self._usage = event.usage
        return b""

    def _on_end(self, event: End) -> bytes:
        finish = encode_finish(event.finish)
        if self._refused and finish["stop_reason"] == "end_turn":
            finish["stop_reason"] = "refusal"
        delta = {"type": "message_delta", "delta": finish, "usage": encode_usage(self._usage)}
        return _event("message_delta", delta | event.notes) + _event(
            "message_stop", {"type": "message_stop"}
        )


def _event(name: str, body: JsonObject) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + dumps(body) + b"\n\n"
