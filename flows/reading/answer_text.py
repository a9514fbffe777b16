"""The readable part of an answer: text, thinking and tool calls out of the vendors' events, also
while they arrive.

Field names follow the vendors' streaming references: Anthropic Messages (`content_block_*`), OpenAI
Chat Completions (`choices[].delta`), OpenAI Responses (`response.*.delta`), Google generateContent
(`candidates[].content.parts[]`, which Code Assist wraps in `response`). Events are told apart by
their shape: no format has to be known beforehand.
"""

from __future__ import annotations

import codecs
import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from flows.bytes.incremental import IncrementalDecoder
from providers.base.errors import BadUpstreamStream
from providers.wire.core.sse import SseParser

Kind = Literal["text", "thinking", "tool", "arguments", "error"]
Piece = tuple[Kind, str]
"""`tool` starts a tool call and carries its name; `arguments` continue it."""

_SSE_STARTS: Final = (b"data:", b"event:", b"id:", b"retry:", b":", b"\xef\xbb\xbf")


def pieces_of(event: Any) -> Iterator[Piece]:
    """What one parsed event, or one whole JSON answer, adds to the readable answer."""
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
    """Bytes of a stream in any chunking → readable pieces. Never raises: what cannot be read is
    left out.

    Streams that are not server-sent events come out as plain text.
    """

    def __init__(self, content_encoding: str = "") -> None:
        self._decoder: IncrementalDecoder | None = IncrementalDecoder(content_encoding)
        self._parser: SseParser | None = None
        self._plain: codecs.IncrementalDecoder | None = None
        self._start = b""

    def feed(self, data: bytes) -> list[Piece]:
        """Take the next bytes of the body; return what they add."""
        if self._decoder is None:
            return []
        try:
            return self._read(self._decoder.feed(data))
        except (ValueError, BadUpstreamStream):
            self._decoder = None  # broken from here on; the raw view still has the bytes
            return []

    def finish(self) -> list[Piece]:
        """End of the body: what its last, unfinished event adds."""
        if self._parser is None:
            return []
        return [piece for event in self._parser.flush() for piece in _event_pieces(event.data)]

    def _read(self, data: bytes) -> list[Piece]:
        if self._parser is None and self._plain is None:
            self._start += data
            if len(self._start.lstrip()) < 6:
                return []
            data, self._start = self._start, b""
            if data.lstrip().startswith(_SSE_STARTS):
                self._parser = SseParser()
            else:
                self._plain = codecs.getincrementaldecoder("utf-8")("replace")
        if self._parser is not None:
            return [
                piece for event in self._parser.feed(data) for piece in _event_pieces(event.data)
            ]
        assert self._plain is not None  # noqa: S101  one of the two is set above
        text = self._plain.decode(data)
        return [("text", text)] if text else []


def joined(pieces: Iterable[Piece]) -> list[Piece]:
    """Neighbours of one kind put together; a tool call starts anew with each `tool`."""
    runs: list[tuple[Kind, list[str]]] = []
    for kind, text in pieces:
        if runs and runs[-1][0] == kind and kind != "tool":
            runs[-1][1].append(text)
        else:
            runs.append((kind, [text]))
    return [(kind, "".join(parts)) for kind, parts in runs]


def says(data: bytes) -> str:
    """What one event or message says, in a few words."""
    return " ".join(text for kind, text in _event_pieces(data))[:200]


def pretty(data: bytes, max_chars: int = 40_000) -> str:
    """JSON with line breaks, anything else as it is; at most `max_chars`."""
    parsed = parse_json(data) if data.lstrip()[:1] in (b"{", b"[") else JsonText(error="no JSON")
    text = data.decode("utf-8", "surrogateescape")
    if not parsed.error:
        with contextlib.suppress(RecursionError):  # then as it came
            text = json.dumps(parsed.value, indent=2, ensure_ascii=False)
    return text if len(text) <= max_chars else f"{text[:max_chars]}… ({len(text)} characters)"


@dataclass(frozen=True, slots=True)
class JsonText:
    """Bytes parsed as JSON, or why not."""

    value: Any = None
    error: str = ""


def parse_json(data: bytes) -> JsonText:
    """JSON of any origin: never raises, however deep or odd."""
    try:
        return JsonText(orjson.loads(data))
    except orjson.JSONDecodeError:
        pass  # stricter than what vendors send: NaN, lone surrogates, BOM
    try:
        return JsonText(json.loads(data))
    except (ValueError, RecursionError) as exc:
        return JsonText(error=str(exc) or type(exc).__name__)


def _event_pieces(data: bytes) -> Iterable[Piece]:
    if not data.startswith((b"{", b"[")):
        return ()
    parsed = parse_json(data)
    try:
        return list(pieces_of(parsed.value))
    except (AttributeError, TypeError):
        return ()  # a vendor's word used for something else


def _text(kind: Kind, value: Any) -> Iterator[Piece]:
    if isinstance(value, str) and value:
        yield kind, value


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


# --- Anthropic Messages


def _anthropic_start(event: dict[str, Any]) -> Iterator[Piece]:
    yield from _anthropic_block(event.get("content_block") or {}, streaming=True)


def _anthropic_delta(event: dict[str, Any]) -> Iterator[Piece]:
    delta = event.get("delta") or {}
    yield from _text("text", delta.get("text"))
    yield from _text("thinking", delta.get("thinking"))
    yield from _text("arguments", delta.get("partial_json"))


def _anthropic_block(block: dict[str, Any], *, streaming: bool = False) -> Iterator[Piece]:
    yield from _text("thinking", block.get("thinking"))
    yield from _text("text", block.get("text"))
    if str(block.get("type", "")).endswith("tool_use"):
        yield "tool", str(block.get("name", ""))
        if not streaming:
            yield "arguments", _compact(block.get("input"))


def _anthropic_content(content: Any) -> Iterator[Piece]:
    for block in _dicts(content):
        yield from _anthropic_block(block)


# --- OpenAI Chat Completions


def _chat_choices(choices: Any) -> Iterator[Piece]:
    for choice in _dicts(choices):
        delta = choice.get("delta") or choice.get("message") or {}
        yield from _text("thinking", delta.get("reasoning_content") or delta.get("reasoning"))
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
    item = event.get("item") or {}
    if str(item.get("type", "")).endswith("_call"):
        yield "tool", str(item.get("name") or item["type"])


def _responses_error(event: dict[str, Any]) -> Iterator[Piece]:
    yield from _text("error", event.get("message"))


def _responses_failed(event: dict[str, Any]) -> Iterator[Piece]:
    yield from _error((event.get("response") or {}).get("error"))


def _responses_output(output: Any) -> Iterator[Piece]:
    for item in _dicts(output):
        for part in _dicts(item.get("summary")):
            yield from _text("thinking", part.get("text"))
        for part in _dicts(item.get("content")):
            yield from _text("text", part.get("text") or part.get("refusal"))
        if str(item.get("type", "")).endswith("_call"):
            yield "tool", str(item.get("name") or item["type"])
            yield from _text("arguments", item.get("arguments") or item.get("input"))


# --- Google generateContent


def _google_candidates(candidates: Any) -> Iterator[Piece]:
    for candidate in _dicts(candidates):
        for part in _dicts((candidate.get("content") or {}).get("parts")):
            yield from _text("thinking" if part.get("thought") else "text", part.get("text"))
            call = part.get("functionCall")
            if isinstance(call, dict):
                yield "tool", str(call.get("name", ""))
                yield "arguments", _compact(call.get("args"))


def _code_assist(response: Any) -> Iterator[Piece]:
    # OpenAI's lifecycle events carry a `response` too: the whole answer again, which must not be
    # read twice.
    if isinstance(response, dict) and "candidates" in response:
        yield from _google_candidates(response["candidates"])


def _error(error: Any) -> Iterator[Piece]:
    if isinstance(error, dict):
        yield from _text("error", error.get("message"))
    else:
        yield from _text("error", error)


def _compact(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)


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
