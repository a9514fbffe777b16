"""Readable part of a response: text, thinking and tool calls, also while events arrive.

Field names follow the vendors' streaming references: Anthropic Messages (`content_block_*`), OpenAI
Chat Completions (`choices[].delta`), OpenAI Responses (`response.*.delta`), Google generateContent
(`candidates[].content.parts[]`, which Code Assist wraps in `response`). The shape of an event
decides its format, so that no format has to be known beforehand. Example:

    data: {"type": "content_block_delta", "delta": {"text": "Hel"}}
    data: {"type": "content_block_delta", "delta": {"text": "lo"}}

gives the pieces ("text", "Hel") and ("text", "lo"), which `joined` makes ("text", "Hello").
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Literal, NamedTuple

import orjson

from flows.bytes.incremental import IncrementalDecoder
from providers.base.errors import BadUpstreamStream
from providers.wire.core.sse import SseEvent, SseParser

Kind = Literal["text", "thinking", "tool", "arguments", "error"]

MAX_SUMMARY_CHARS: Final = 200
_SSE_STARTS: Final = (b"data:", b"event:", b"id:", b"retry:", b":", b"\xef\xbb\xbf")
_DELTA_KINDS: Final = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "text",
    "response.reasoning_text.delta": "thinking",
    "response.reasoning_summary_text.delta": "thinking",
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "arguments",
    "response.output_item.added": "tool",
}
_TEXT_ENDS: Final[dict[str, Kind]] = {
    "response.output_text.done": "text",
    "response.refusal.done": "text",
    "response.reasoning_text.done": "thinking",
    "response.reasoning_summary_text.done": "thinking",
    "response.function_call_arguments.done": "arguments",
}
_RESPONSE_ENDS: Final = ("response.completed", "response.done", "response.incomplete")
_SNIFFED_BYTES: Final = max(map(len, _SSE_STARTS))


class Piece(NamedTuple):
    """Text of one kind. `tool` starts a tool call and carries its name; `arguments` continue it."""

    kind: Kind
    text: str


def pieces_of(event: Any) -> Iterator[Piece]:
    """Yield the readable parts of one parsed event, or of one complete JSON response.

    Example: `{"choices": [{"delta": {"content": "Hi"}}]}` → ("text", "Hi").
    """
    if not isinstance(event, dict):
        return
    kind = event.get("type")
    reader = _BY_TYPE.get(kind) if isinstance(kind, str) else None
    if reader is not None:
        yield from reader(event)
    for key, read in _BY_KEY.items():
        if event.get(key):
            yield from read(event[key])


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

    def finish(self) -> list[Piece]:
        """Take the end of the body; return the text of its last, unfinished event."""
        if self._parser is None:
            return []
        return self._events.pieces(self._parser.flush())

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
            return self._events.pieces(self._parser.feed(data))
        assert self._plain is not None  # noqa: S101  _choose sets one of the two
        text = self._plain.decode(data)
        return [Piece("text", text)] if text else []

    def _choose(self, start: bytes) -> None:
        if start.lstrip().startswith(_SSE_STARTS):
            self._parser = SseParser()
        else:
            self._plain = codecs.getincrementaldecoder("utf-8")("replace")


class _ReadEvents:
    """Events of one stream → readable parts.

    Responses servers may repeat a text at the end of its part, of its item and of the response;
    some send it only there. What came before is left out.
    """

    def __init__(self) -> None:
        self._seen: set[tuple[str, Any]] = set()

    def pieces(self, events: Iterable[SseEvent]) -> list[Piece]:
        pieces: list[Piece] = []
        for event in events:
            pieces += _event_pieces(event.data)
            if b"response." in event.data:
                pieces += self._late(event.data)
        return pieces

    def _late(self, data: bytes) -> list[Piece]:
        """Return what an event says at an end and no event said before."""
        event = _lenient(data)
        kind = event.get("type") if isinstance(event, dict) else None
        if not isinstance(kind, str) or not kind.startswith("response."):
            return []
        index = event.get("output_index")
        if index is None:
            # Without numbers, the item's id tells one from the other.
            item = event.get("item")
            index = event.get("item_id") or (isinstance(item, dict) and item.get("id"))
        if kind in _DELTA_KINDS:
            self._seen.add((_DELTA_KINDS[kind], index))
            return []
        if kind in _TEXT_ENDS:
            text = event.get("text") or event.get("refusal") or event.get("arguments")
            said, key = _TEXT_ENDS[kind], (_TEXT_ENDS[kind], index)
            return [] if self._has(key) else list(_text(said, text))
        items = _dicts([event.get("item")] if kind == "response.output_item.done" else [])
        pieces = [piece for item in items for piece in self._of_item(item, index)]
        response = event.get("response")
        if kind in _RESPONSE_ENDS and isinstance(response, dict) and not self._seen:
            pieces += _responses_output(response.get("output"))
        return pieces

    def _of_item(self, item: dict[str, Any], index: Any) -> list[Piece]:
        is_call = str(item.get("type", "")).endswith("_call")
        pieces = list(_responses_output([item]))
        return [
            piece
            for piece in pieces
            if not self._has((piece.kind, index)) or (is_call and piece.kind == "text")
        ]

    def _has(self, key: tuple[str, Any]) -> bool:
        """Return whether something came; from now on it has."""
        if key in self._seen:
            return True
        self._seen.add(key)
        return False


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


def says(data: bytes) -> str:
    """Return the readable text of one event or message, cut to 200 characters."""
    text = " ".join(text for _, text in _event_pieces(data))
    return text[:MAX_SUMMARY_CHARS]


def pretty(data: bytes, max_chars: int = 40_000) -> str:
    """Return JSON with line breaks, anything else unchanged; at most `max_chars`."""
    text = _indented(data)
    if text is None:
        text = data.decode("utf-8", "surrogateescape")
    if len(text) <= max_chars:
        return text
    return f"{text[:max_chars]}… ({len(text)} characters)"


def _indented(data: bytes) -> str | None:
    if data.lstrip()[:1] not in (b"{", b"["):
        return None
    parsed = parse_json(data)
    if parsed.error:
        return None
    try:
        return json.dumps(parsed.value, indent=2, ensure_ascii=False)
    except RecursionError:
        return None


class JsonText(NamedTuple):
    """A parsed JSON value, or the reason why the bytes are not JSON."""

    value: Any = None
    error: str = ""


def parse_json(data: bytes) -> JsonText:
    """Parse JSON of any origin. Never raises, however deep or broken it is."""
    try:
        return JsonText(orjson.loads(data))
    except orjson.JSONDecodeError:
        # orjson refuses what vendors do send: NaN, lone surrogates, a byte order mark.
        pass
    try:
        return JsonText(json.loads(data))
    except (ValueError, RecursionError) as exc:
        return JsonText(error=str(exc) or type(exc).__name__)


def _event_pieces(data: bytes) -> Iterable[Piece]:
    if not data.startswith((b"{", b"[")):
        return ()
    try:
        return list(pieces_of(_lenient(data)))
    except (AttributeError, TypeError):
        # Another program may use a vendor's field name for something else.
        return ()


def _lenient(data: bytes) -> Any:
    """Parse an event; a broken character becomes U+FFFD and does not cost the text around it."""
    parsed = parse_json(data)
    if parsed.error:
        parsed = parse_json(data.decode("utf-8", "replace").encode())
    return parsed.value


def _text(kind: Kind, value: Any) -> Iterator[Piece]:
    if isinstance(value, str) and value:
        yield Piece(kind, value)


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(value, list):
        return
    for item in value:
        if isinstance(item, dict):
            yield item


# --- Anthropic Messages


_ANTHROPIC_DELTAS: Final[tuple[tuple[str, Kind], ...]] = (
    ("text", "text"),
    ("thinking", "thinking"),
    ("partial_json", "arguments"),
)


def _anthropic_start(event: dict[str, Any]) -> Iterator[Piece]:
    block = event.get("content_block") or {}
    yield from _anthropic_block(block, streaming=True)


def _anthropic_delta(event: dict[str, Any]) -> Iterator[Piece]:
    delta = event.get("delta") or {}
    # A stream has thousands of these: three generators for each would take most of the time.
    for field, kind in _ANTHROPIC_DELTAS:
        text = delta.get(field)
        if isinstance(text, str) and text:
            yield Piece(kind, text)


def _anthropic_block(block: dict[str, Any], *, streaming: bool = False) -> Iterator[Piece]:
    yield from _text("thinking", block.get("thinking"))
    yield from _text("text", block.get("text"))
    # tool_use, server_tool_use and mcp_tool_use.
    if str(block.get("type", "")).endswith("tool_use"):
        yield Piece("tool", str(block.get("name", "")))
        # A stream starts with an empty input; its deltas bring the arguments.
        if not streaming:
            yield Piece("arguments", _compact(block.get("input")))


def _anthropic_content(content: Any) -> Iterator[Piece]:
    for block in _dicts(content):
        yield from _anthropic_block(block)


# --- OpenAI Chat Completions


def _chat_choices(choices: Any) -> Iterator[Piece]:
    for choice in _dicts(choices):
        delta = choice.get("delta") or choice.get("message") or {}
        # Not in OpenAI's reference: DeepSeek writes `reasoning_content`, OpenRouter `reasoning`.
        thinking = delta.get("reasoning_content") or delta.get("reasoning")
        yield from _text("thinking", thinking)
        yield from _text("text", delta.get("content"))
        yield from _text("text", delta.get("refusal"))
        for call in _dicts(delta.get("tool_calls")):
            function = call.get("function") or {}
            yield from _text("tool", function.get("name"))
            yield from _text("arguments", function.get("arguments"))


# --- OpenAI Responses


def _responses_text(event: dict[str, Any]) -> Iterator[Piece]:
    yield from _text("text", event.get("delta"))


def _responses_thinking(event: dict[str, Any]) -> Iterator[Piece]:
    yield from _text("thinking", event.get("delta"))


def _responses_arguments(event: dict[str, Any]) -> Iterator[Piece]:
    yield from _text("arguments", event.get("delta"))


def _responses_item(event: dict[str, Any]) -> Iterator[Piece]:
    yield from _responses_call_name(event.get("item") or {})


def _responses_call_name(item: dict[str, Any]) -> Iterator[Piece]:
    # Calls of built-in tools have no name: their type (`web_search_call`) stands for it.
    kind = str(item.get("type", ""))
    if kind.endswith("_call"):
        yield Piece("tool", str(item.get("name") or kind))


def _responses_error(event: dict[str, Any]) -> Iterator[Piece]:
    yield from _text("error", event.get("message"))


def _responses_failed(event: dict[str, Any]) -> Iterator[Piece]:
    response = event.get("response") or {}
    yield from _error(response.get("error"))


def _responses_output(output: Any) -> Iterator[Piece]:
    for item in _dicts(output):
        for part in _dicts(item.get("summary")):
            yield from _text("thinking", part.get("text"))
        for part in _dicts(item.get("content")):
            yield from _text("text", part.get("text") or part.get("refusal"))
        yield from _responses_call_name(item)
        if str(item.get("type", "")).endswith("_call"):
            yield from _text("arguments", item.get("arguments") or item.get("input"))


# --- Google generateContent


def _google_candidates(candidates: Any) -> Iterator[Piece]:
    for candidate in _dicts(candidates):
        content = candidate.get("content") or {}
        for part in _dicts(content.get("parts")):
            yield from _google_part(part)


def _google_part(part: dict[str, Any]) -> Iterator[Piece]:
    kind: Kind = "thinking" if part.get("thought") else "text"
    yield from _text(kind, part.get("text"))
    call = part.get("functionCall")
    if isinstance(call, dict):
        yield Piece("tool", str(call.get("name", "")))
        yield Piece("arguments", _compact(call.get("args")))


def _code_assist(response: Any) -> Iterator[Piece]:
    # OpenAI's lifecycle events carry a `response` too: the complete one again, which would be read
    # twice.
    if isinstance(response, dict) and "candidates" in response:
        yield from _google_candidates(response["candidates"])


def _error(error: Any) -> Iterator[Piece]:
    if isinstance(error, dict):
        yield from _text("error", error.get("message"))
    else:
        yield from _text("error", error)


def _compact(value: Any) -> str:
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False)


_BY_TYPE: Final[dict[str, Callable[[dict[str, Any]], Iterator[Piece]]]] = {
    "content_block_start": _anthropic_start,
    "content_block_delta": _anthropic_delta,
    "response.output_text.delta": _responses_text,
    "response.refusal.delta": _responses_text,
    "response.reasoning_text.delta": _responses_thinking,
    "response.reasoning_summary_text.delta": _responses_thinking,
    "response.output_item.added": _responses_item,
    "response.function_call_arguments.delta": _responses_arguments,
    "response.custom_tool_call_input.delta": _responses_arguments,
    "response.failed": _responses_failed,
    "error": _responses_error,
}
_BY_KEY: Final[dict[str, Callable[[Any], Iterator[Piece]]]] = {
    "content": _anthropic_content,
    "choices": _chat_choices,
    "output": _responses_output,
    "candidates": _google_candidates,
    "response": _code_assist,
    "error": _error,
}
