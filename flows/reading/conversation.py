"""A request and its response as a conversation of readable items. Pure.

Each tool call shows its result. Example: a request with the messages user "List files", assistant
call `ls`, user result "a.py", and the response "There is a.py." → three messages (text, call with a
result inside, text); the message that held only the result is left out.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from django.utils.safestring import SafeString

from flows.display.markdown import plain, rendered
from flows.display.safe_text import visible
from flows.display.tool_call import tool_view
from flows.display.units import plural
from flows.reading.decoded import Answer
from flows.reading.turn_digest import common_turns, same_system, same_tools
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
"""The page folds a tool's result that is longer."""
MAX_TURNS: Final = 40
MAX_ALL_TURNS: Final = 400
ROLES: Final = {"user": "User", "assistant": "Assistant", "system": "System"}
IMAGE_TYPES: Final = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}
"""First bytes of a file → media type, of the kinds that cannot carry scripts."""
ImageUrl = Callable[[int], str]


class Written(NamedTuple):
    """A block as a page shows it; `subject` and `formed` as in `Item`."""

    html: SafeString = SafeString("")
    subject: str = ""
    formed: bool = False


@dataclass(slots=True)
class Item:
    """One block of a message.

    `kind`: text, thinking, call, result, image, media, foreign. `results` are a call's.
    """

    kind: str
    write: Callable[[], Written] = Written
    """Writes the HTML once a page shows it: of long conversations most is only measured."""
    title: str = ""
    size_bytes: int = 0
    folded: bool = False
    failed: bool = False
    source: str = ""
    results: list[Item] = field(default_factory=list)
    _written: Written | None = None

    @property
    def html(self) -> SafeString:
        """The block as HTML."""
        return self._shown().html

    @property
    def subject(self) -> str:
        """Subject of a call: a file, a command's description."""
        return self._shown().subject

    @property
    def formed(self) -> bool:
        """The HTML is more than text: the page puts no `pre` around it."""
        return self._shown().formed

    def _shown(self) -> Written:
        if self._written is None:
            self._written = self.write()
        return self._written


@dataclass(slots=True)
class TurnView:
    """One message. `number` counts from 1; the response has none."""

    role: str
    label: str
    items: list[Item]
    number: int | None = None
    size_bytes: int = 0


@dataclass(slots=True)
class Fold:
    """Long content that is shown on demand.

    `same` compares it with the previous request; None without one.
    """

    title: str
    size_bytes: int
    same: bool | None
    items: list[Item]


@dataclass(slots=True)
class Conversation:
    """All messages of a request, and its response.

    `hidden` messages at the start are left out; `same` messages the previous request had already.
    """

    system: Fold | None
    tools: Fold | None
    turns: list[TurnView]
    hidden: int
    same: int
    answer: TurnView | None


class ImageFile(NamedTuple):
    """The bytes of an image and its media type."""

    data: bytes
    media_type: str


def conversation(
    request: Request,
    answer: Answer | None,
    image_url: ImageUrl,
    *,
    previous: Request | None = None,
    every: bool = False,
) -> Conversation:
    """Return the view of a request and its response.

    Without `every`, messages that the previous request had already are left out.
    """
    same = 0
    system_same = tools_same = None
    if previous is not None:
        same = common_turns(request.turns, previous.turns)
        system_same = same_system(request, previous)
        tools_same = same_tools(request, previous)

    hidden = _hidden_count(len(request.turns), same, every=every)
    reader = _Reader(request, image_url, hidden)
    numbered = enumerate(request.turns[hidden:], hidden + 1)
    views = [reader.turn(turn, number) for number, turn in numbered]
    answer_view = None
    if answer is not None:
        items = [reader.item(block) for block in answer.blocks]
        answer_view = TurnView("assistant", "Response", items)
    return Conversation(
        system=_system(request, system_same),
        tools=_tools(request, tools_same),
        # A message that held only results is empty: each result stands with its call.
        turns=[view for view in views if view.items],
        hidden=hidden,
        same=same,
        answer=answer_view,
    )


def turn_views(request: Request, image_url: ImageUrl) -> list[TurnView]:
    """Return the views of all messages of a request; those that hold only results are left out."""
    reader = _Reader(request, image_url, 0)
    numbered = enumerate(request.turns, 1)
    views = [reader.turn(turn, number) for number, turn in numbered]
    return [view for view in views if view.items]


def _hidden_count(count: int, same: int, *, every: bool) -> int:
    """Count the messages at the start that the page leaves out.

    Examples: 10 messages, 8 of them known → 8; 10 known of 10 → 0, because nothing else would be
    left to show; 100 messages, none known → 60.
    """
    if every:
        return max(0, count - MAX_ALL_TURNS)
    known = same if same < count else 0
    return max(known, count - MAX_TURNS)


def images(request: Request) -> Iterator[Media]:
    """Yield the images of a request in the order in which they are numbered."""
    for turn in request.turns:
        for block in turn.blocks:
            parts = block.content if isinstance(block, ToolResult) else [block]
            for part in parts:
                if isinstance(part, Media) and part.kind == "image":
                    yield part


def image_bytes(media: Media) -> ImageFile | None:
    """Return an image that travels in the request; None for a reference and for other kinds.

    The first bytes decide the type, not the request, which could name one that runs scripts.
    """
    try:
        data = base64.b64decode(media.data or "", validate=False)
    except (binascii.Error, ValueError):
        return None
    for magic, media_type in IMAGE_TYPES.items():
        if data.startswith(magic):
            return ImageFile(data, media_type)
    return None


class _Reader:
    """Blocks → items.

    Each result goes to its call. A result stays in its own message if its call is not shown.
    """

    def __init__(self, request: Request, image_url: ImageUrl, hidden: int) -> None:
        self._image_url = image_url
        self._names = {call.id: call.name for call in _calls(request.turns)}
        # By identity: two images may be equal, and each has an address of its own.
        self._image_number: dict[int, int] = {}
        for number, media in enumerate(images(request)):
            self._image_number[id(media)] = number
        self._results = _results_by_call(request, hidden)
        self._joined: set[int] = set()
        for results in self._results.values():
            self._joined.update(id(result) for result in results)

    def turn(self, turn: Turn, number: int) -> TurnView:
        items = []
        for block in turn.blocks:
            if id(block) not in self._joined:
                items.append(self.item(block))
        label = ROLES.get(turn.role, turn.role)
        return TurnView(turn.role, label, items, number, _total(items))

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

        def write() -> Written:
            view = tool_view(call.name, call.arguments)
            if view is None:
                return Written(_code(arguments))
            return Written(view.html, view.subject, formed=True)

        return Item(
            kind="call",
            write=write,
            title=call.name or "(no name)",
            size_bytes=_size(arguments),
            results=results,
        )

    def _result(self, result: ToolResult) -> Item:
        parts = self._result_parts(result)
        text_bytes = _total([part for part in parts if part.kind == "text"])
        title = ""
        # Below its call a result needs no name.
        if id(result) not in self._joined:
            title = result.name or self._names.get(result.call_id, "")
        return Item(
            kind="result",
            title=title,
            size_bytes=_total(parts),
            folded=text_bytes > OPEN_CHARS,
            failed=bool(result.is_error),
            results=parts,
        )

    def _result_parts(self, result: ToolResult) -> list[Item]:
        # Google's results are a JSON object without parts.
        if not result.content and result.response is not None:
            text = _pretty(result.response)
            return [_as_code("text", text)]
        parts: list[Item] = []
        for block in result.content:
            # A tool's output is not Markdown.
            if isinstance(block, Text):
                parts.append(_as_code("text", block.text))
            else:
                parts.append(self.item(block))
        return parts

    def _media(self, media: Media) -> Item:
        reference = media.url or media.file_id or media.title or ""
        kind = media.media_type or media.kind
        title = f"{kind} {reference}" if reference else kind
        size = _media_bytes(media)
        number = self._image_number.get(id(media))
        if number is not None and image_bytes(media) is not None:
            return Item(
                "image",
                title=title,
                size_bytes=size,
                source=self._image_url(number),
            )
        text = media.text or ""
        return Item("media", lambda: Written(_code(text)), title, size)


def _calls(turns: list[Turn]) -> Iterator[ToolCall]:
    for turn in turns:
        for block in turn.blocks:
            if isinstance(block, ToolCall):
                yield block


def _results_by_call(request: Request, hidden: int) -> dict[str, list[ToolResult]]:
    shown_turns = request.turns[hidden:]
    shown_calls = {call.id for call in _calls(shown_turns)}
    results: dict[str, list[ToolResult]] = {}
    for turn in request.turns:
        for block in turn.blocks:
            if isinstance(block, ToolResult) and block.call_id in shown_calls:
                results.setdefault(block.call_id, []).append(block)
    return results


def _media_bytes(media: Media) -> int:
    if media.data:
        # Base64 writes three bytes as four characters.
        return len(media.data) * 3 // 4
    return len(media.text or "")


def _text(text: str) -> Item:
    too_long = len(text) > MAX_TEXT_CHARS
    shown = f"{text[:MAX_TEXT_CHARS]}…" if too_long else text
    # Clients add notes of their own to the user's message; they are folded.
    if text.lstrip().startswith("<system-reminder>"):
        title = "system reminder, added by the client"
        return Item("text", lambda: Written(plain(shown)), title, _size(text), folded=True)
    form = plain if too_long else rendered
    return Item("text", lambda: Written(form(shown)), size_bytes=_size(text))


def _thinking(block: Thinking) -> Item:
    if block.redacted or not block.text:
        title = "not readable: only the model's vendor can read it"
        size = len(block.signature or "")
        return Item("thinking", title=title, size_bytes=size, folded=True)
    text = block.text
    return Item(
        "thinking",
        lambda: Written(plain(text[:MAX_TEXT_CHARS])),
        size_bytes=_size(text),
        folded=True,
    )


def _as_code(kind: str, text: str, title: str = "", *, folded: bool = False) -> Item:
    return Item(kind, lambda: Written(_code(text)), title, _size(text), folded=folded)


def _foreign(block: Foreign) -> Item:
    return _as_code("foreign", _pretty(block.raw), block.kind, folded=True)


def _system(request: Request, same: bool | None) -> Fold | None:
    if not request.system:
        return None
    items = [_as_code("text", block.text) for block in request.system]
    return Fold("System prompt", _total(items), same, items)


def _tools(request: Request, same: bool | None) -> Fold | None:
    if not request.tools:
        return None
    items = [_tool(tool) for tool in request.tools]
    return Fold(plural(len(items), "tool"), _total(items), same, items)


def _tool(tool: Tool) -> Item:
    return Item(
        "tool", lambda: Written(_code(_tool_text(tool))), tool.name, tool_size(tool), folded=True
    )


def tool_size(tool: Tool) -> int:
    """Return about the bytes that a tool's declaration takes in the request."""
    declaration = tool.raw
    if not declaration:
        declaration = {
            "name": tool.name,
            "description": tool.description,
            "schema": tool.schema,
        }
    return _size(dumps_text(declaration))


def _tool_text(tool: Tool) -> str:
    if tool.raw is not None:
        return _pretty(tool.raw)
    schema = _pretty(tool.schema) if tool.schema else ""
    return f"{tool.description or ''}\n\n{schema}".strip()


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
    if len(text) <= MAX_TEXT_CHARS:
        return visible(text)
    return visible(f"{text[:MAX_TEXT_CHARS]}… ({len(text)} characters)")


def _total(items: list[Item]) -> int:
    return sum(item.size_bytes for item in items)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
