"""Growth of the main conversation's context as stacked areas. Pure.

The merged conversation gives the contents of every request: what stands before its response. So
one pass over the messages measures all requests, and none but the newest is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from flows.queries.sessions import Row
from flows.reading.context_size import context_size
from flows.sessions.session_story import Entry, Story
from providers.wire.core.ir import Request, ToolResult, Turn

WIDTH: Final = 1000.0
HEIGHT: Final = 180.0
_GROUPS: Final = {
    "system": "System prompt",
    "tools": "Tools",
    "user": "Messages",
    "results": "Tool results",
}
"""Class of an area → its label, from the bottom to the top."""
_Sizes = dict[str, int]


@dataclass(frozen=True, slots=True)
class Area:
    """One kind of content: the corners of its polygon, its size in the newest request."""

    name: str
    label: str
    points: str
    newest_bytes: int

    @property
    def swatch(self) -> str:
        """Classes of its colour."""
        return f"slice {self.name}"


@dataclass(frozen=True, slots=True)
class BreakMark:
    """A request whose cache was lost, at its position."""

    row: Row
    x: float


@dataclass(frozen=True, slots=True)
class ContextAreas:
    """The areas, the size at their top, and the breaks."""

    areas: list[Area]
    highest_bytes: int
    requests: int
    breaks: list[BreakMark]


def context_areas(told: Story) -> ContextAreas | None:
    """Return the areas; None with fewer than two responses, which make no line.

    Example: a system prompt of 300 bytes, the user's 100, a response, the user's 200 and a second
    response → two requests with 400 and, with the first response's bytes, more than 600 bytes.
    """
    measured = list(_measured(told))
    if len(measured) < 2:
        return None
    highest = max(sum(sizes.values()) for _, sizes in measured)
    step = WIDTH / (len(measured) - 1)
    per_byte = HEIGHT / highest if highest else 0.0
    floor = [0.0] * len(measured)
    areas = []
    for name, label in _GROUPS.items():
        top = []
        for base, (_, sizes) in zip(floor, measured, strict=True):
            top.append(base + sizes.get(name, 0) * per_byte)
        areas.append(Area(name, label, _polygon(floor, top, step), measured[-1][1].get(name, 0)))
        floor = top
    breaks = []
    for index, (row, _) in enumerate(measured):
        if row.cache_lost:
            breaks.append(BreakMark(row, index * step))
    return ContextAreas(areas, highest, len(measured), breaks)


def _measured(told: Story) -> Iterable[tuple[Row, _Sizes]]:
    """Yield the sizes of what each response follows."""
    fixed = {
        "system": told.system.size_bytes if told.system else 0,
        "tools": told.tools.size_bytes if told.tools else 0,
    }
    sizes: _Sizes = {}
    for entry in told.entries:
        if entry.mark == "new history":
            sizes = {}
        if entry.is_response and entry.row is not None:
            yield entry.row, fixed | sizes
        for name, size_bytes in _sizes_of(entry).items():
            sizes[name] = sizes.get(name, 0) + size_bytes


def _sizes_of(entry: Entry) -> _Sizes:
    sizes: _Sizes = {}
    turns = [entry.turn] if entry.turn else []
    results: list[ToolResult] = list(entry.results)
    if results:
        turns.append(Turn("user", list(results)))
    measured = context_size(Request("anthropic_messages", turns=turns))
    for one in measured.slices:
        name = one.name if one.name == "results" else "user"
        sizes[name] = sizes.get(name, 0) + one.size_bytes
    return sizes


def _polygon(floor: Sequence[float], top: Sequence[float], step: float) -> str:
    """Write the corners of an area: the upper edge from left to right, the lower one back.

    SVG counts from the top. With a height of 100, a floor of [0, 0], a top of [10, 20] and a step
    of 5: "0.0,90.0 5.0,80.0 5.0,100.0 0.0,100.0"
    """
    there = _edge(top, step)
    back = _edge(floor, step)[::-1]
    return " ".join(there + back)


def _edge(heights: Sequence[float], step: float) -> list[str]:
    """Write the points of one edge from left to right."""
    return [f"{index * step:.1f},{HEIGHT - height:.1f}" for index, height in enumerate(heights)]
