"""The reader that makes items of a request's blocks, each result with its call. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from flows.display.markdown import plain, rendered
from flows.display.tool_call import tool_view
from flows.reading.conversation.images import ImageUrl, image_bytes, images
from flows.reading.conversation.item import Item, TurnView, Written, total_bytes
from flows.reading.conversation.item_text import (
    MAX_TEXT_CHARS,
    as_code,
    code,
    indented,
    utf8_bytes,
)
from providers.wire.core.ir import (
    Block,
    Foreign,
    Media,
    Request,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)

OPEN_CHARS: Final = 1_500
"""The page folds a tool's result that is longer."""
ROLES: Final = {"user": "User", "assistant": "Assistant", "system": "System"}


class ItemReader:
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
        """Return a message by its number; without items if all its results stand elsewhere."""
        items = []
        for block in turn.blocks:
            if id(block) not in self._joined:
                items.append(self.item(block))
        label = ROLES.get(turn.role, turn.role)
        return TurnView(turn.role, label, items, number, total_bytes(items))

    def item(self, block: Block) -> Item:
        """Return the item of a block; a call's takes its results with it."""
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
        arguments = indented(call.arguments)
        results = [self._result(result) for result in self._results.pop(call.id, [])]

        def write() -> Written:
            view = tool_view(call.name, call.arguments)
            if view is None:
                return Written(code(arguments))
            return Written(view.html, view.subject, formed=True)

        return Item(
            kind="call",
            write=write,
            title=call.name or "(no name)",
            size_bytes=utf8_bytes(arguments),
            results=results,
        )

    def _result(self, result: ToolResult) -> Item:
        parts = self._result_parts(result)
        text_bytes = total_bytes([part for part in parts if part.kind == "text"])
        title = ""
        # Below its call a result needs no name.
        if id(result) not in self._joined:
            title = result.name or self._names.get(result.call_id, "")
        return Item(
            kind="result",
            title=title,
            size_bytes=total_bytes(parts),
            folded=text_bytes > OPEN_CHARS,
            failed=bool(result.is_error),
            results=parts,
        )

    def _result_parts(self, result: ToolResult) -> list[Item]:
        # Google's results are a JSON object without parts.
        if not result.content and result.response is not None:
            text = indented(result.response)
            return [as_code("text", text)]
        parts: list[Item] = []
        for block in result.content:
            # A tool's output is not Markdown.
            if isinstance(block, Text):
                parts.append(as_code("text", block.text))
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
        return Item("media", lambda: Written(code(text)), title, size)


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
        return Item("text", lambda: Written(plain(shown)), title, utf8_bytes(text), folded=True)
    form = plain if too_long else rendered
    return Item("text", lambda: Written(form(shown)), size_bytes=utf8_bytes(text))


def _thinking(block: Thinking) -> Item:
    if block.redacted or not block.text:
        title = "not readable: only the model's vendor can read it"
        size = len(block.signature or "")
        return Item("thinking", title=title, size_bytes=size, folded=True)
    text = block.text
    return Item(
        "thinking",
        lambda: Written(plain(text[:MAX_TEXT_CHARS])),
        size_bytes=utf8_bytes(text),
        folded=True,
    )


def _foreign(block: Foreign) -> Item:
    return as_code("foreign", indented(block.raw), block.kind, folded=True)
