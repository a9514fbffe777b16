"""Parts of a request or a response that a search finds, each with where it stands. Pure.

The shape decides, so that no format has to be known. Example of a Messages request:

    {"system": "Be brief.", "messages": [{"role": "user", "content": "Hi"}]}
    → ("system prompt", "Be brief."), ("user, turn 1", "Hi")

A part that the next request repeats has the same text there, though it stands elsewhere: the id of
a tool call is a part of its own, because a response and a request have it at different places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from flows.bytes.json_ids import IdFields
from flows.reading.body_view import BodyView
from flows.reading.event_pieces import Piece
from flows.reading.json_text import parse_json
from flows.search.body_strings import arguments_of, is_opaque, lines_of

IDS: Final = "id"
MAX_TEXT_BYTES: Final = 256 * 1024
"""Bytes of a body that is neither JSON nor a stream of events, such as HTML."""

_SYSTEM_PROMPT: Final = "system prompt"
_TOOL: Final = "definition of a tool"
_FIELDS: Final = "request’s fields"
_AROUND_MESSAGES: Final = frozenset({_SYSTEM_PROMPT, _TOOL, _FIELDS})
_TURNS: Final = ("messages", "input", "contents")
_SYSTEM: Final = ("system", "instructions", "systemInstruction", "system_instruction")
_ID_KEYS: Final = ("id", "call_id", "tool_use_id", "tool_call_id")
_CALLS: Final = ("tool_use", "server_tool_use", "function_call", "custom_tool_call")
_RESULTS: Final = ("tool_result", "function_call_output", "custom_tool_call_output")
_THINKING: Final = ("thinking", "reasoning", "redacted_thinking")
_IDS_IN_BYTES: Final = IdFields(
    "id", "call_id", "item_id", "request_id", value=rb"[A-Za-z0-9_.:-]{6,100}"
)
_MAX_IDS: Final = 60
_SHORT_CHARS: Final = 200
_FIRST_EVENTS: Final = 1
_LAST_EVENTS: Final = 3
_EVENT_END: Final = b"\n\n"


class Part(NamedTuple):
    """A text, and where it stands: "tool result, turn 7"."""

    where: str
    text: str


# --- requests


def request_parts(body: BodyView) -> Iterator[Part]:
    """Yield the parts of a request; `is_of_message` finds those of its messages."""
    if body.kind != "json" or not isinstance(body.json.value, dict):
        yield from _other(body, "request")
        return
    request = body.json.value
    # Code Assist wraps Google's format.
    inner = request.get("request")
    if isinstance(inner, dict):
        yield from _fields(inner)
        request = {name: value for name, value in request.items() if name != "request"}
    yield from _fields(request)


def added_parts(request: dict[str, Any], left_out: int) -> Iterator[Part]:
    """Yield the parts of a request of which the first `left_out` messages are left out."""
    yield from _fields(request, left_out)


def is_of_message(part: Part) -> bool:
    """Return whether a part of a request stands in its messages."""
    return part.where not in _AROUND_MESSAGES


def _fields(request: dict[str, Any], left_out: int = 0) -> Iterator[Part]:
    for name, value in request.items():
        if name in _TURNS:
            yield from _turns(value, left_out)
        elif name in _SYSTEM:
            for block in value if isinstance(value, list) else [value]:
                yield _part(_SYSTEM_PROMPT, block)
        elif name == "tools":
            for tool in value if isinstance(value, list) else [value]:
                yield _part(_TOOL, tool)
        else:
            yield _part(_FIELDS, {name: value})


def _turns(turns: Any, left_out: int) -> Iterator[Part]:
    if not isinstance(turns, list):
        yield _part("user, turn 1", turns)
        return
    for number, turn in enumerate(turns, 1 + left_out):
        yield from _turn(turn, number)


def _turn(turn: Any, number: int) -> Iterator[Part]:
    if not isinstance(turn, dict):
        yield _part(f"turn {number}", turn)
        return
    role = turn.get("role")
    if not isinstance(role, str):
        # An item of the Responses API: a call, a result, thinking.
        yield from _block(turn, "turn", number)
        return
    if role == "tool":
        yield from _ids(turn)
        yield _part(f"tool result, turn {number}", turn.get("content"))
        return
    for name, value in turn.items():
        if name in ("content", "parts", "tool_calls"):
            for block in value if isinstance(value, list) else [value]:
                yield from _block(block, role, number)
        elif name not in ("role", *_ID_KEYS):
            kind = "thinking" if "reasoning" in name else role
            yield _part(f"{kind}, turn {number}", value)
    yield from _ids(turn)


def _block(block: Any, role: str, number: int) -> Iterator[Part]:
    if not isinstance(block, dict):
        yield _part(f"{role}, turn {number}", block)
        return
    kind = block.get("type")
    # Chat Completions and Google put a call into a key of its own.
    called = block.get("function") or block.get("functionCall")
    result = block.get("functionResponse")
    if isinstance(called, dict) or kind in _CALLS:
        call = called if isinstance(called, dict) else block
        yield from _ids(block)
        yield _call(call, f"turn {number}")
    elif isinstance(result, dict) or kind in _RESULTS:
        yield from _ids(block)
        yield _part(f"tool result, turn {number}", _without_ids(result or block))
    else:
        is_thinking = kind in _THINKING or block.get("thought") is True
        yield from _ids(block)
        where = "thinking" if is_thinking else role
        yield _part(f"{where}, turn {number}", _without_ids(block))


def _call(call: dict[str, Any], where: str) -> Part:
    name = str(call.get("name") or "")
    arguments = call.get("input") or call.get("arguments") or call.get("args")
    return _call_part(name, arguments, where)


def _call_part(name: str, arguments: Any, where: str) -> Part:
    if isinstance(arguments, str):
        arguments = arguments_of(arguments)
    return Part(f"call of {name[:60]}, {where}", "\n".join((name, *lines_of(arguments))))


def _without_ids(block: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in block.items() if name not in _ID_KEYS}


def _ids(block: dict[str, Any]) -> Iterator[Part]:
    for name in _ID_KEYS:
        value = block.get(name)
        if isinstance(value, str) and value:
            yield Part(IDS, value)


def _part(where: str, value: Any) -> Part:
    return Part(where, "\n".join(lines_of(value)))


# --- responses


def response_parts(body: BodyView) -> Iterator[Part]:
    """Yield the parts of a response: what it says, its ids, and short fields around them."""
    if body.kind not in ("json", "events"):
        yield from _other(body, "response")
        return
    said = list(_said(body.answer()))
    yield from said
    if body.kind == "json" and not said:
        yield _part("response", body.json.value)
        return
    for found in list(dict.fromkeys(_IDS_IN_BYTES.find(body.plain)))[:_MAX_IDS]:
        yield Part(IDS, found.decode())
    known = "\n".join(part.text for part in said)
    frames = [body.json.value] if body.kind == "json" else _outer_events(body.plain)
    for frame in frames:
        # Long texts are in the parts above; a response repeats them in its last event.
        short = [line for line in lines_of(frame) if len(line) <= _SHORT_CHARS]
        fields = "\n".join(line for line in short if line.partition(": ")[2] not in known)
        yield Part("response’s fields", fields)


def _said(pieces: Iterable[Piece]) -> Iterator[Part]:
    called = ""
    for kind, text in pieces:
        if called and kind != "arguments":
            yield _call_part(called, "", "response")
            called = ""
        if kind == "tool":
            called = text
        elif kind == "arguments":
            yield _call_part(called, text, "response")
            called = ""
        elif not is_opaque(text):
            yield Part({"text": "response", "error": "error"}.get(kind, f"{kind}, response"), text)
    if called:
        yield _call_part(called, "", "response")


def _outer_events(stream: bytes) -> Iterator[Any]:
    """Yield the first and the last events of a stream; those between are what it says."""
    for event in _outer_texts(stream.replace(b"\r", b"")):
        for line in event.split(b"\n"):
            if line.startswith(b"data:"):
                yield parse_json(line[5:].strip()).value


def _outer_texts(stream: bytes) -> list[bytes]:
    """Return the texts of these events; mostly without cutting out the hundreds between."""
    first, _, others = stream.partition(_EVENT_END)
    last = others.rstrip().rsplit(_EVENT_END, _LAST_EVENTS)[-_LAST_EVENTS:]
    outer = [first, *last]
    if all(event.strip() for event in outer):
        return outer
    # Some of these are no events but further blank lines.
    events = [event for event in stream.split(_EVENT_END) if event.strip()]
    return [*events[:_FIRST_EVENTS], *events[_FIRST_EVENTS:][-_LAST_EVENTS:]]


# --- both


def _other(body: BodyView, side: str) -> Iterator[Part]:
    if body.kind == "json":
        yield _part(side, body.json.value)
    elif body.kind in ("text", "events"):
        yield Part(side, body.plain[:MAX_TEXT_BYTES].decode("utf-8", "replace"))


def message_parts(data: bytes, where: str) -> Iterator[Part]:
    """Yield the parts of one message of a websocket."""
    parsed = parse_json(data)
    if parsed.error:
        text = data[:MAX_TEXT_BYTES].decode("utf-8", "replace")
        yield Part(where, text)
    elif isinstance(parsed.value, dict):
        for part in _fields(parsed.value):
            yield Part(part.where if part.where == IDS else f"{part.where} ({where})", part.text)
    else:
        yield _part(where, parsed.value)
