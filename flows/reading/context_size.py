"""What fills the context window: system prompt, tools, messages, tool results, images, by bytes.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from flows.reading.conversation import tool_size
from providers.wire.core.ir import (
    Block,
    Foreign,
    Media,
    Request,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from providers.wire.core.jsonio import dumps_text

BYTES_PER_TOKEN: Final = 4
"""A rough figure for English and code; what is estimated with it is marked "~"."""
LARGEST: Final = 10


@dataclass(slots=True)
class Slice:
    """One kind of content.

    `tokens` is an estimate, None for images: their tokens do not follow from their bytes.
    """

    name: str
    label: str
    size_bytes: int = 0
    count: int = 0
    share: float = 0.0
    x: float = 0.0

    @property
    def tokens(self) -> int | None:
        return None if self.name == "images" else self.size_bytes // BYTES_PER_TOKEN

    @property
    def width(self) -> float:
        """In thousandths of the bar."""
        return self.share * 1000


@dataclass(slots=True)
class ContextSize:
    """The slices in the order of the prompt, the tools by size, and the largest single blocks."""

    slices: list[Slice]
    tools: list[tuple[str, int]]
    largest: list[tuple[str, str, int]] = field(default_factory=list)
    total_bytes: int = 0


def context_size(request: Request) -> ContextSize:
    """The breakdown of a request."""
    slices = {
        name: Slice(name, label)
        for name, label in (
            ("system", "System prompt"), ("tools", "Tools"), ("user", "User's text"), ("assistant",
            "Model's text"),
            ("thinking", "Thinking"), ("calls", "Tool calls"), ("results", "Tool results"),
            ("images", "Images, files"),
        )
    }  # fmt: skip
    found = list(_blocks(request))
    for kind, _, size in found:
        slices[kind].size_bytes += size
        slices[kind].count += 1
    total = sum(size for _, _, size in found)
    x = 0.0
    for one in slices.values():
        one.share, one.x = (one.size_bytes / total if total else 0.0), x
        x += one.width
    tools = sorted(
        ((where, size) for kind, where, size in found if kind == "tools"), key=lambda tool: -tool[1]
    )
    largest = sorted(
        ((where, slices[kind].label, size) for kind, where, size in found), key=lambda b: -b[2]
    )
    return ContextSize(
        [one for one in slices.values() if one.count], tools, largest[:LARGEST], total
    )


def _blocks(request: Request) -> Iterator[tuple[str, str, int]]:
    """(slice, place, bytes) of everything in the prompt."""
    for number, text in enumerate(request.system, 1):
        yield "system", f"system prompt {number}", _size(text.text)
    for tool in request.tools:
        yield "tools", tool.name, tool_size(tool)
    for number, turn in enumerate(request.turns, 1):
        for block in turn.blocks:
            yield from _block(block, turn.role, f"turn {number}")


def _block(block: Block, role: str, place: str) -> Iterator[tuple[str, str, int]]:
    match block:
        case Text():
            kind = "system" if role == "system" else "assistant" if role == "assistant" else "user"
            yield kind, place, _size(block.text)
        case Thinking():
            yield "thinking", place, _size(block.text) + len(block.signature or "")
        case ToolCall():
            arguments = (
                block.arguments if isinstance(block.arguments, str) else dumps_text(block.arguments)
            )
            yield "calls", f"{place}, {block.name}", _size(arguments)
        case ToolResult():
            yield from _result(block, place)
        case Media():
            yield "images", place, len(block.data or block.text or block.url or "")
        case _:
            yield "calls", f"{place}, {block.kind}", _size(dumps_text(block.raw))


def _result(result: ToolResult, place: str) -> Iterator[tuple[str, str, int]]:
    where = f"{place}, {result.name}" if result.name else place
    for part in result.content:
        if isinstance(part, Media):
            yield "images", where, len(part.data or part.text or part.url or "")
        else:
            yield "results", where, _size(part.text if isinstance(part, Text) else _foreign(part))
    if not result.content and result.response is not None:
        yield "results", where, _size(dumps_text(result.response))


def _foreign(block: Foreign) -> str:
    return dumps_text(block.raw)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
