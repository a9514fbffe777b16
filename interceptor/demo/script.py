"""Script of the demo provider: the same turn for every wire format, and each time.

A model name may direct it: `demo-slow` streams slowly enough to be watched, `demo-cut` stops in
the middle of a stream, `demo-error-429` fails with that status.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

CREATED_AT_S = 1_790_000_000
"""Unix time in every response; a script has no clock."""
CUT_MODEL = "demo-cut"
MODELS = ("demo", "demo-slow", CUT_MODEL, "demo-error-429", "demo-error-500", "demo-error-529")
_SLOW_PAUSE_S = 0.08
_PAUSE_S = 0.01
_ERROR_MODEL = re.compile(r"^demo-error-([45]\d\d)$")


@dataclass(frozen=True, slots=True)
class Asked:
    """Request in no wire format's terms."""

    model: str
    text: str
    """The last thing the user said."""
    tools: tuple[tuple[str, dict[str, Any]], ...] = ()
    """Names and JSON Schemas of the tools it offers."""
    has_tool_result: bool = False
    """The conversation ends with the result of a tool."""
    size_chars: int = 0


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of one of the offered tools."""

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """The provider's turn: text in the parts it is streamed in, or a tool call after them."""

    id: str
    pieces: tuple[str, ...]
    call: ToolCall | None
    input_tokens: int
    output_tokens: int
    pause_s: float = 0.0

    @property
    def text(self) -> str:
        """The complete text."""
        return "".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Failure:
    """A scripted error."""

    status: int
    message: str


@dataclass(frozen=True, slots=True)
class Answer:
    """HTTP response. `pieces` is its body, or one server-sent event each of a stream."""

    status: int
    content_type: str
    pieces: tuple[bytes, ...]
    pause_s: float = 0.0
    headers: tuple[str, ...] = ()
    """Further header lines."""
    is_cut: bool = False
    """The connection closes behind the last piece, without the stream's end."""

    @property
    def is_stream(self) -> bool:
        """True for server-sent events, whose length is not known beforehand."""
        return self.content_type.startswith("text/event-stream")


def play(asked: Asked) -> Turn | Failure:
    """Return the scripted turn for a request."""
    if match := _ERROR_MODEL.match(asked.model):
        return Failure(
            int(match[1]),
            f"The scripted provider fails with {match[1]} because the model's name says so.",
        )
    # Ids follow from the request, so that the same request gets the same response.
    key = hashlib.blake2b(f"{asked}".encode(), digest_size=8).hexdigest()
    call = None
    if asked.tools and not asked.has_tool_result:
        name, schema = asked.tools[0]
        call = ToolCall(f"call{key}", name, example_of(schema, asked.text))
    text = _text(asked, call)
    return Turn(
        id=key,
        pieces=tuple(re.findall(r"\S+\s*", text)),
        call=call,
        input_tokens=max(1, asked.size_chars // 4),
        output_tokens=max(1, len(text) // 4) + (8 if call else 0),
        pause_s=_SLOW_PAUSE_S if asked.model == "demo-slow" else _PAUSE_S,
    )


def _text(asked: Asked, call: ToolCall | None) -> str:
    if call:
        return f"I will use {call.name} for that."
    if asked.has_tool_result:
        return "Thank you, the tool's result is all I needed."
    said = asked.text if len(asked.text) <= 80 else asked.text[:79] + "…"
    return (
        f"You said: “{said}” I am a scripted provider on your own machine, so no key was needed and"
        " nothing left it. Your client sent a sentinel key; the proxy put the provider's key in"
        " its place on the way. Open this flow in the console and look at the Changes tab to"
        " see it."
    )


def example_of(schema: Any, text: str = "") -> Any:
    """Return a small value that fits a JSON Schema; strings are the user's words."""
    if not isinstance(schema, dict):
        return {}
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "object")
    kind = str(kind[0] if isinstance(kind, list) and kind else kind).lower()
    if kind == "object":
        properties = schema.get("properties") or {}
        wanted = schema.get("required") or list(properties)
        return {name: example_of(properties.get(name, {"type": "string"}), text) for name in wanted}
    simple = {"integer": 1, "number": 1, "boolean": True, "array": [], "null": None}
    return simple.get(kind, text[:40] or "demo")


def json_answer(status: int, body: Any) -> Answer:
    """Return a buffered response."""
    return Answer(status, "application/json", (json.dumps(body).encode(),))


def sse_answer(frames: Sequence[bytes], turn: Turn) -> Answer:
    """Return a streamed response."""
    return Answer(200, "text/event-stream; charset=utf-8", tuple(frames), turn.pause_s)


def cut(whole: Answer) -> Answer:
    """Return the first half of a stream, behind which the connection breaks."""
    return replace(whole, pieces=whole.pieces[: len(whole.pieces) // 2], is_cut=True)


def sse(data: Any, event: str = "") -> bytes:
    """Return one server-sent event."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def text_of(content: Any) -> str:
    """Return the text of a message's content: a string, or a list of blocks with `text`."""
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return " ".join(
        str(block["text"]) for block in blocks if isinstance(block, dict) and "text" in block
    )


def last_of(items: Any) -> dict[str, Any]:
    """Return the last object of a list, or an empty one."""
    last = items[-1] if isinstance(items, list) and items else {}
    return last if isinstance(last, dict) else {}


def size_of(request: dict[str, Any]) -> int:
    """Return the length of a request as JSON text, in characters."""
    return len(json.dumps(request))
