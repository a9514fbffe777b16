"""Readable parts of one event of a stream, or of one complete JSON response, by its shape. Pure.

Field names follow the vendors' streaming references: Anthropic Messages (`content_block_*`), OpenAI
Chat Completions (`choices[].delta`), OpenAI Responses (`response.*.delta`), Google generateContent
(`candidates[].content.parts[]`, which Code Assist wraps in `response`). The shape of an event
decides its format, so that no format has to be known beforehand.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Literal, NamedTuple

from flows.reading.json_text import lenient_json

Kind = Literal["text", "thinking", "tool", "arguments", "error"]

MAX_SUMMARY_CHARS: Final = 200


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


def event_pieces(data: bytes) -> Iterable[Piece]:
    """Return the readable parts of an event's data; none for what is no event of a vendor."""
    if not data.startswith((b"{", b"[")):
        return ()
    try:
        return list(pieces_of(lenient_json(data)))
    except (AttributeError, TypeError):
        # Another program may use a vendor's field name for something else.
        return ()


def says(data: bytes) -> str:
    """Return the readable text of one event or message, cut to 200 characters."""
    text = " ".join(text for _, text in event_pieces(data))
    return text[:MAX_SUMMARY_CHARS]


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
