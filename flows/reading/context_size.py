"""Contents of the context window by bytes: system prompt, tools, messages, images. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from flows.reading.conversation.folds import tool_size
from flows.reading.conversation.item_text import utf8_bytes
from providers.wire.core.ir import (
    Block,
    Media,
    Request,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from providers.wire.core.jsonio import dumps_text

BYTES_PER_TOKEN: Final = 4
"""A rough figure for English and code; pages mark estimates with "~"."""
BAR_WIDTH: Final = 1000
LARGEST: Final = 10
_LABELS: Final = {
    "system": "System prompt",
    "tools": "Tools",
    "user": "User's text",
    "assistant": "Model's text",
    "thinking": "Thinking",
    "calls": "Tool calls",
    "results": "Tool results",
    "images": "Images, files",
}
"""Name of a slice → its label, in the order of the prompt."""


@dataclass(slots=True)
class Slice:
    """One kind of content. `x` and `width` are in thousandths of the bar."""

    name: str
    label: str
    size_bytes: int = 0
    count: int = 0
    share: float = 0.0
    x: float = 0.0

    @property
    def tokens(self) -> int | None:
        """An estimate; None for images, whose tokens do not follow from their bytes."""
        if self.name == "images":
            return None
        return self.size_bytes // BYTES_PER_TOKEN

    @property
    def width(self) -> float:
        """Width in thousandths of the bar."""
        return self.share * BAR_WIDTH


class ToolSize(NamedTuple):
    """A tool and the bytes of its declaration."""

    name: str
    size_bytes: int


class LargeBlock(NamedTuple):
    """One of the largest blocks: its position in the prompt and the label of its slice."""

    position: str
    label: str
    size_bytes: int


class _Content(NamedTuple):
    """A block's slice, its position for people, and its bytes."""

    slice_name: str
    position: str
    size_bytes: int


@dataclass(slots=True)
class ContextSize:
    """The slices in the order of the prompt, the tools by size, and the largest single blocks."""

    slices: list[Slice]
    tools: list[ToolSize]
    largest: list[LargeBlock] = field(default_factory=list)
    total_bytes: int = 0


def context_size(request: Request) -> ContextSize:
    """Measure a request's contents.

    Example: a system prompt of 300 bytes and a message of 100 bytes → the slices "system" with a
    share of 0.75 and "user" with 0.25.
    """
    contents = list(_contents(request))
    slices = {name: Slice(name, label) for name, label in _LABELS.items()}
    for content in contents:
        kind = slices[content.slice_name]
        kind.size_bytes += content.size_bytes
        kind.count += 1

    total = sum(content.size_bytes for content in contents)
    x = 0.0
    for kind in slices.values():
        kind.x = x
        kind.share = kind.size_bytes / total if total else 0.0
        x += kind.width

    by_size = sorted(contents, key=lambda content: -content.size_bytes)
    tools = []
    for content in by_size:
        if content.slice_name == "tools":
            tools.append(ToolSize(content.position, content.size_bytes))
    largest = []
    for content in by_size[:LARGEST]:
        label = _LABELS[content.slice_name]
        largest.append(LargeBlock(content.position, label, content.size_bytes))
    used = [kind for kind in slices.values() if kind.count]
    return ContextSize(used, tools, largest, total)


def _contents(request: Request) -> Iterator[_Content]:
    for number, text in enumerate(request.system, 1):
        yield _Content("system", f"system prompt {number}", utf8_bytes(text.text))
    for tool in request.tools:
        yield _Content("tools", tool.name, tool_size(tool))
    for number, turn in enumerate(request.turns, 1):
        for block in turn.blocks:
            yield from _block(block, turn.role, f"message {number}")


def _block(block: Block, role: str, position: str) -> Iterator[_Content]:
    match block:
        case Text():
            slice_name = role if role in ("system", "assistant") else "user"
            yield _Content(slice_name, position, utf8_bytes(block.text))
        case Thinking():
            size = utf8_bytes(block.text) + len(block.signature or "")
            yield _Content("thinking", position, size)
        case ToolCall():
            arguments = block.arguments
            text = arguments if isinstance(arguments, str) else dumps_text(arguments)
            yield _Content("calls", f"{position}, {block.name}", utf8_bytes(text))
        case ToolResult():
            yield from _result(block, position)
        case Media():
            yield _Content("images", position, _media_size(block))
        case _:
            size = utf8_bytes(dumps_text(block.raw))
            yield _Content("calls", f"{position}, {block.kind}", size)


def _result(result: ToolResult, position: str) -> Iterator[_Content]:
    if result.name:
        position = f"{position}, {result.name}"
    for part in result.content:
        match part:
            case Media():
                yield _Content("images", position, _media_size(part))
            case Text():
                yield _Content("results", position, utf8_bytes(part.text))
            case _:
                yield _Content("results", position, utf8_bytes(dumps_text(part.raw)))
    # Google's results are a JSON object without parts.
    if not result.content and result.response is not None:
        yield _Content("results", position, utf8_bytes(dumps_text(result.response)))


def _media_size(media: Media) -> int:
    return len(media.data or media.text or media.url or "")
