"""A request and its answer as a conversation: turns of readable items, each tool call with its
result. Pure.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.safestring import SafeString

from flows.display.markdown import plain, rendered
from flows.display.safe_text import visible
from flows.reading.decoded import Answer
from flows.reading.turn_digest import same_system, same_tools, same_turns
from providers.wire.core.ir import (
    Block,
    Foreign,
    Media,
    Request,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from providers.wire.core.jsonio import dumps_text, loads

MAX_TEXT_CHARS: Final = 30_000
OPEN_CHARS: Final = 1_500
"""A tool's result that is longer is folded."""
MAX_TURNS: Final = 40
MAX_ALL_TURNS: Final = 400
ROLES: Final = {"user": "User", "assistant": "Assistant", "system": "System"}
IMAGE_TYPES: Final = {
    b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}  # fmt: skip
ImageUrl = Callable[[int], str]


@dataclass(slots=True)
class Item:
    """One thing that was said.

    `kind`: text, thinking, call, result, image, media, foreign. `results` are a call's.
    """

    kind: str
    html: SafeString = field(default_factory=lambda: SafeString(""))
    title: str = ""
    size_bytes: int = 0
    folded: bool = False
    failed: bool = False
    source: str = ""
    results: list[Item] = field(default_factory=list)


@dataclass(slots=True)
class TurnView:
    """One turn. `number` counts from 1; the answer's turn has none."""

    role: str
    label: str
    items: list[Item]
    number: int | None = None
    size_bytes: int = 0


@dataclass(slots=True)
class Fold:
    """Something long that is shown on demand, and whether it is the same as in the previous request
    (None: no such).
    """

    title: str
    size_bytes: int
    same: bool | None
    items: list[Item]


@dataclass(slots=True)
class Conversation:
    """All of it.

    `hidden` turns at the start are left out, `same` of all turns are as in the previous request.
    """

    system: Fold | None
    tools: Fold | None
    turns: list[TurnView]
    hidden: int
    same: int
    answer: TurnView | None


def conversation(
    request: Request,
    answer: Answer | None,
    image_url: ImageUrl,
    *,
    previous: Request | None = None,
    every: bool = False,
) -> Conversation:
    """The view of a request; without `every`, turns that the previous request had already are left
    out.
    """
    same = same_turns(request.turns, previous.turns) if previous else 0
    count = len(request.turns)
    known = same if same < count and not every else 0
    hidden = max(known, count - (MAX_ALL_TURNS if every else MAX_TURNS), 0)
    reader = _Reader(request, image_url, hidden)
    views = [
        reader.turn(turn, number) for number, turn in enumerate(request.turns[hidden:], hidden + 1)
    ]
    blocks = answer.blocks if answer else []
    return Conversation(
        system=_system(request, None if previous is None else same_system(request, previous)),
        tools=_tools(request, None if previous is None else same_tools(request, previous)),
        turns=[view for view in views if view.items],
        hidden=hidden,
        same=same,
        answer=(
            TurnView("assistant", "Answer", [reader.item(block) for block in blocks])
            if answer
            else None
        ),
    )


def images(request: Request) -> Iterator[Media]:
    """The images of a request in the order in which they are numbered."""
    for turn in request.turns:
        for block in turn.blocks:
            for part in block.content if isinstance(block, ToolResult) else [block]:
                if isinstance(part, Media) and part.kind == "image":
                    yield part


def image_bytes(media: Media) -> tuple[bytes, str] | None:
    """Bytes and media type of an image that travels in the request, told by its first bytes; None
    for any other.
    """
    try:
        data = base64.b64decode(media.data or "", validate=False)
    except (binascii.Error, ValueError):
        return None
    return next(
        ((data, kind) for magic, kind in IMAGE_TYPES.items() if data.startswith(magic)), None
    )


class _Reader:
    """Blocks → items.

    Each result goes to its call; a result whose call is not shown stays where it is.
    """

    def __init__(self, request: Request, image_url: ImageUrl, hidden: int) -> None:
        self._image_url = image_url
        self._names = {
            b.id: b.name for turn in request.turns for b in turn.blocks if isinstance(b, ToolCall)
        }
        self._image_number = {id(media): number for number, media in enumerate(images(request))}
        calls = {
            b.id for turn in request.turns[hidden:] for b in turn.blocks if isinstance(b, ToolCall)
        }
        self._results: dict[str, list[ToolResult]] = {}
        for turn in request.turns:
            for block in turn.blocks:
                if isinstance(block, ToolResult) and block.call_id in calls:
                    self._results.setdefault(block.call_id, []).append(block)
        self._joined = {id(result) for results in self._results.values() for result in results}

    def turn(self, turn: Turn, number: int) -> TurnView:
        items = [self.item(block) for block in turn.blocks if id(block) not in self._joined]
        label = ROLES.get(turn.role, turn.role)
        return TurnView(turn.role, label, items, number, sum(item.size_bytes for item in items))

    def item(self, block: Block) -> Item:
        match block:
            case Text():
                return _text(block.text)
            case Thinking():
                return _thinking(block)
            case ToolCall():
                return self._call(block)
            case ToolResult():
                return self._result(block)
            case Media():
                return self._media(block)
            case _:
                return _foreign(block)

    def _call(self, call: ToolCall) -> Item:
        arguments = _pretty(call.arguments)
        results = [self._result(result) for result in self._results.pop(call.id, [])]
        return Item(
            "call", _code(arguments), call.name or "(no name)", _size(arguments), results=results
        )

    def _result(self, result: ToolResult) -> Item:
        parts = [self.item(part) for part in result.content]
        if not parts and result.response is not None:
            parts = [
                Item(
                    "text",
                    _code(_pretty(result.response)),
                    size_bytes=_size(_pretty(result.response)),
                )
            ]
        for part, block in zip(parts, result.content, strict=False):
            if isinstance(block, Text):
                part.html = _code(block.text)  # a tool's output is no markdown
        size = sum(part.size_bytes for part in parts)
        failed = bool(result.is_error)
        text = sum(part.size_bytes for part in parts if part.kind == "text")
        title = (
            "" if id(result) in self._joined else result.name or self._names.get(result.call_id, "")
        )
        return Item("result", title=title, size_bytes=size, folded=text > OPEN_CHARS, failed=failed,
                    results=parts)  # fmt: skip

    def _media(self, media: Media) -> Item:
        size = len(media.data or media.text or "") * 3 // (4 if media.data else 3)
        where = media.url or media.file_id or media.title or ""
        title = " ".join(part for part in (media.media_type or media.kind, where) if part)
        number = self._image_number.get(id(media))
        if number is not None and image_bytes(media) is not None:
            return Item("image", title=title, size_bytes=size, source=self._image_url(number))
        html = _code(media.text) if media.text else SafeString("")
        return Item("media", html, title, size)


def _text(text: str) -> Item:
    shown = text if len(text) <= MAX_TEXT_CHARS else f"{text[:MAX_TEXT_CHARS]}…"
    # What clients put into the user's turn by themselves is folded.
    reminder = text.lstrip().startswith("<system-reminder>")
    title = "system reminder, added by the client" if reminder else ""
    html = plain(shown) if reminder or len(text) > MAX_TEXT_CHARS else rendered(shown)
    return Item("text", html, title, _size(text), folded=reminder)


def _thinking(block: Thinking) -> Item:
    if block.redacted or not block.text:
        return Item("thinking", title="not readable: only the model's vendor can read it",
        folded=True,
                    size_bytes=len(block.signature or ""))  # fmt: skip
    return Item(
        "thinking", plain(block.text[:MAX_TEXT_CHARS]), size_bytes=_size(block.text), folded=True
    )


def _foreign(block: Foreign) -> Item:
    text = _pretty(block.raw)
    return Item("foreign", _code(text), block.kind, _size(text), folded=True)


def _system(request: Request, same: bool | None) -> Fold | None:
    if not request.system:
        return None
    items = [
        Item("text", _code(block.text), size_bytes=_size(block.text)) for block in request.system
    ]
    return Fold("System prompt", sum(item.size_bytes for item in items), same, items)


def _tools(request: Request, same: bool | None) -> Fold | None:
    if not request.tools:
        return None
    items = [
        Item("tool", _code(_tool_text(tool)), tool.name, tool_size(tool), folded=True)
        for tool in request.tools
    ]
    count = len(items)
    return Fold(
        f"{count} tool{'' if count == 1 else 's'}",
        sum(item.size_bytes for item in items),
        same,
        items,
    )


def tool_size(tool: Tool) -> int:
    """About how many bytes a tool takes in the request."""
    return _size(
        dumps_text(
            tool.raw or {"name": tool.name, "description": tool.description, "schema": tool.schema}
        )
    )


def _tool_text(tool: Tool) -> str:
    if tool.raw is not None:
        return _pretty(tool.raw)
    return f"{tool.description or ''}\n\n{_pretty(tool.schema) if tool.schema else ''}".strip()


def _pretty(value: Any) -> str:
    if isinstance(value, str):
        try:
            value = loads(value)
        except (ValueError, RecursionError):
            return str(value)
    try:
        return json.dumps(value, indent=2, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return repr(value)


def _code(text: str) -> SafeString:
    return visible(
        text
        if len(text) <= MAX_TEXT_CHARS
        else f"{text[:MAX_TEXT_CHARS]}… ({len(text)} characters)"
    )


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
