"""Readable part of a response: text, thinking and tool calls, also while events arrive.

The first telling event of a stream decides its format, whose decoder puts the parts of parallel
calls in order and finds texts that come late. Events that no decoder understands are read by their
shape alone. Example:

    data: {"type": "content_block_delta", "index": 0, "delta": {"text": "Hel"}}
    data: {"type": "content_block_delta", "index": 0, "delta": {"text": "lo"}}

gives the pieces ("text", "Hel") and ("text", "lo"), which `joined` makes ("text", "Hello").
"""

from __future__ import annotations

import codecs
import re
from collections.abc import (
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

from flows.bytes.incremental import IncrementalDecoder
from flows.reading.delta_runs import continued, first_delta
from flows.reading.event_pieces import (
    Kind,
    Piece,
    event_pieces,
    pieces_of,
)
from flows.reading.json_text import lenient_json
from providers.base.errors import BadUpstreamStream, TranslationError
from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)
from providers.wire.anthropic_messages.stream import AnthropicStreamDecoder
from providers.wire.core.base import StreamDecoder
from providers.wire.core.formats import provider_codec
from providers.wire.core.ir import Block, Failure, Foreign, Text, Thinking, ToolCall
from providers.wire.core.jsonio import dumps, loads
from providers.wire.core.sse import SseEvent, SseParser
from providers.wire.core.stream_event import BlockStart, Delta, Event
from providers.wire.response_reading import UNFORESEEN

_SSE_STARTS: Final = (b"data:", b"event:", b"id:", b"retry:", b":", b"error:", b"\xef\xbb\xbf")
_SNIFFED_BYTES: Final = max(map(len, _SSE_STARTS))
_ANTHROPIC_TYPES: Final = ("message_start", "message_delta", "content_block_")
_ANTHROPIC_DELTA: Final = re.compile(
    rb'\{"type": ?"content_block_delta", ?"index": ?(\d{1,6}), ?"delta": ?'
    rb'\{"type": ?"(text_delta|thinking_delta|input_json_delta)", ?'
    rb'"(text|thinking|partial_json)": ?("(?:[^"\\]|\\.)*+") ?\} *\}'
)
"""A delta as Anthropic writes it. Nothing else is in it, so it reports no failure."""
_DELTA_NAMES: Final = ("content_block_delta", "")
SMALL_STREAM_BYTES: Final = 64 * 1024
SMALL_STREAMS: Final = 128
"""Remembered streams, of 64 KB at the most: those of a batch of the writer."""
UNREADABLE: Final = (TranslationError, *UNFORESEEN)
"""Errors of decoders that end the reading of a body, and not of its page."""


class AnswerReader:
    """Bytes of a stream in any chunking → readable text. Never raises; leaves out broken events.

    Streams that are not server-sent events come out as plain text.
    """

    def __init__(self, content_encoding: str = "") -> None:
        self._decoder: IncrementalDecoder | None = IncrementalDecoder(content_encoding)
        self._parser: SseParser | None = None
        self._plain: codecs.IncrementalDecoder | None = None
        self._events = _ReadEvents()
        self._start = b""

    def feed(self, data: bytes) -> list[Piece]:
        """Take the next bytes of the body; return the text that they add."""
        if self._decoder is None:
            return []
        try:
            return self._read(self._decoder.feed(data))
        except (ValueError, BadUpstreamStream):
            # Broken from here on; the raw view still has the bytes.
            self._decoder = None
            return []

    @property
    def is_in_block(self) -> bool:
        """The last event was a delta, and one that looks the same continues its block."""
        return self._events.is_in_block

    def pieces_of(self, texts: Iterable[str]) -> list[Piece]:
        """Return what such deltas add together, by their texts."""
        return self._events.pieces_of(texts)

    def finish(self) -> list[Piece]:
        """Take the end of the body; return what waited for it, and its last, unfinished event."""
        if self._parser is None:
            return []
        pieces: list[Piece] = []
        for event in self._parser.flush():
            pieces += self._events.read(event)
        return pieces + self._events.finish()

    def _read(self, data: bytes) -> list[Piece]:
        if self._parser is None and self._plain is None:
            self._start += data
            # The first bytes decide the kind, and a chunk may be shorter than "event:".
            if len(self._start.lstrip()) < _SNIFFED_BYTES:
                return []
            data = self._start
            self._start = b""
            self._choose(data)
        if self._parser is not None:
            pieces: list[Piece] = []
            for event in self._parser.feed(data):
                pieces += self._events.read(event)
            return pieces
        assert self._plain is not None  # noqa: S101  _choose sets one of the two
        text = self._plain.decode(data)
        return [Piece("text", text)] if text else []

    def _choose(self, start: bytes) -> None:
        if start.lstrip().startswith(_SSE_STARTS):
            self._parser = SseParser()
        else:
            self._plain = codecs.getincrementaldecoder("utf-8")("replace")


def pieces_of_stream(body: bytes) -> Sequence[Piece]:
    """Return the joined readable parts of a complete stream without content encoding.

    The writer, the linker and the search index ask for those of the same body one after the other,
    so small bodies are remembered: reading an event takes 10 to 20 µs, one of a run 1 µs.
    """
    return _small_stream(body) if len(body) <= SMALL_STREAM_BYTES else _stream(body)


def _stream(body: bytes) -> tuple[Piece, ...]:
    reader = AnswerReader("identity")
    pieces: list[Piece] = []
    start = 0
    while (first := first_delta(body, start)) is not None:
        # Its decoder sees the first of a run, and knows whether others continue it.
        pieces += reader.feed(body[start : first.end])
        start = first.end
        if reader.is_in_block and (run := continued(body, first)) is not None:
            pieces += reader.pieces_of(run.texts)
            start = run.end
    pieces += reader.feed(body[start:])
    pieces += reader.finish()
    return tuple(joined(pieces))


_small_stream = lru_cache(SMALL_STREAMS)(_stream)


class _ReadEvents:
    """Events of one stream → readable parts, block by block."""

    def __init__(self) -> None:
        self._decoder: StreamDecoder | None = None
        self._kind: Kind = "text"
        # The block and the field of the last event, if it was a delta of a block that is open.
        self._open: tuple[bytes, ...] = ()
        self._is_delta = False

    @property
    def is_in_block(self) -> bool:
        """The last event was a delta of a block that is open."""
        return bool(self._open)

    def pieces_of(self, texts: Iterable[str]) -> list[Piece]:
        """Return what deltas of the open block add together."""
        return [Piece(self._kind, "".join(texts))]

    def read(self, event: SseEvent) -> Iterable[Piece]:
        """Return what an event adds.

        Most events continue the block of the one before, which changes nothing in the decoder:

            {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}
            {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}}

        The decoder reads the first, and of the second only the text is read.
        """
        delta = _ANTHROPIC_DELTA.fullmatch(event.data)
        if delta is None:
            self._open = ()
            return self._read(event)
        *place, text = delta.groups()
        if self._open == tuple(place) and event.event in _DELTA_NAMES:
            with suppress(ValueError):
                return (Piece(self._kind, loads(text)),)
        pieces = self._read(event)
        is_continued = self._is_delta and event.event in _DELTA_NAMES
        self._open = tuple(place) if is_continued else ()
        return pieces

    def _read(self, event: SseEvent) -> Iterable[Piece]:
        """Return what an event adds, read by the decoder."""
        self._is_delta = False
        if self._decoder is None:
            wire = format_of_event(event.data)
            if wire is None:
                return event_pieces(event.data)
            self._decoder = provider_codec(wire).stream_decoder()
        try:
            decoded = self._decoder.feed(event)
        except UNREADABLE:
            # It breaks the grammar, but may still say something.
            return event_pieces(event.data)
        is_anthropic = isinstance(self._decoder, AnthropicStreamDecoder)
        self._is_delta = is_anthropic and [type(each) for each in decoded] == [Delta]
        if decoded and isinstance(decoded[-1], Failure):
            # What waits for other blocks came before the failure.
            decoded = [*decoded[:-1], *self._held(), decoded[-1]]
        return self._pieces(decoded)

    def finish(self) -> list[Piece]:
        """Return what waited for the stream's end, also if it came too early."""
        if self._decoder is None:
            return []
        try:
            events = self._decoder.flush()
        except UNREADABLE:
            events = []
        # A stream that is cut has no words of the provider.
        said = [event for event in events if not isinstance(event, Failure)]
        return self._pieces([*said, *self._held()])

    def _held(self) -> list[Event]:
        assert self._decoder is not None  # noqa: S101  checked by the callers
        try:
            return self._decoder.held()
        except UNREADABLE:
            return []

    def _pieces(self, events: Sequence[Event]) -> list[Piece]:
        pieces: list[Piece] = []
        for event in events:
            if isinstance(event, Delta):
                pieces.append(Piece(self._kind, event.text))
            elif isinstance(event, BlockStart):
                pieces += self._begun(event.block)
            elif isinstance(event, Failure):
                pieces.append(Piece("error", event.message))
        return pieces

    def _begun(self, block: Block) -> Iterator[Piece]:
        """Yield what the start of a block says; its deltas continue it."""
        if isinstance(block, ToolCall):
            self._kind = "arguments"
            yield Piece("tool", block.name)
        elif isinstance(block, Thinking):
            self._kind = "thinking"
            if block.text and not block.redacted:
                yield Piece("thinking", block.text)
        else:
            self._kind = "text"
            if isinstance(block, Text) and block.text:
                yield Piece("text", block.text)
            elif isinstance(block, Foreign):
                yield from _vendors_own(block)


def _vendors_own(block: Foreign) -> Iterable[Piece]:
    """Return the parts of a block that only its vendor understands, such as a search."""
    holder = "output" if block.vendor == OPENAI_RESPONSES else "content"
    return event_pieces(dumps({holder: [block.raw]}))


def format_of_event(data: bytes) -> WireFormatName | None:
    """Return the format that an event's shape shows, or None for an event of no known stream.

    Example: `{"choices": []}` → Chat Completions, `{"type": "ping"}` → None.
    """
    event = lenient_json(data) if data.startswith((b"{", b"[{")) else None
    if isinstance(event, list):
        event = event[0]
    if not isinstance(event, dict):
        return None
    kind = event.get("type")
    if isinstance(kind, str) and kind.startswith("response."):
        return OPENAI_RESPONSES
    if isinstance(kind, str) and kind.startswith(_ANTHROPIC_TYPES):
        return ANTHROPIC_MESSAGES
    if "choices" in event:
        return OPENAI_CHAT
    inner = event.get("response")
    holders = (event, inner if isinstance(inner, dict) else {})
    if any("candidates" in holder for holder in holders):
        return GOOGLE_GENERATE
    return None


def pieces_of_json(value: Any) -> list[Piece]:
    """Return the readable parts of a response that is JSON.

    Google's stream without `alt=sse` is an array of chunks.
    """
    if not isinstance(value, list):
        try:
            return joined(pieces_of(value))
        except (AttributeError, TypeError):
            return []
    events = _ReadEvents()
    pieces: list[Piece] = []
    for chunk in value:
        pieces += events.read(SseEvent(dumps(chunk)))
    return joined([*pieces, *events.finish()])


def joined(pieces: Iterable[Piece]) -> list[Piece]:
    """Join neighbours of one kind; each `tool` starts a new call.

    Example: text "a", text "b", tool "ls", tool "cat" → text "ab", tool "ls", tool "cat".
    """
    runs: list[tuple[Kind, list[str]]] = []
    last_kind: Kind | None = None
    for kind, text in pieces:
        if kind == last_kind and kind != "tool":
            runs[-1][1].append(text)
        else:
            runs.append((kind, [text]))
        last_kind = kind
    return [Piece(kind, "".join(texts)) for kind, texts in runs]
