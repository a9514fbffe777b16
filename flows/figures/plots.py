"""Plots as plain shapes: templates draw them as SVG, without a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

WIDTH: Final = 1000.0
HEIGHT: Final = 100.0
_COLUMN_SHARE: Final = 0.8
_LONE_WIDTH: Final = 10.0


class Value(NamedTuple):
    """A value to draw: `tone` is the class of its colour, `title` what a pointer shows."""

    amount: float
    tone: str
    title: str


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A part of a column."""

    x: float
    y: float
    width: float
    height: float
    tone: str
    title: str


@dataclass(frozen=True, slots=True)
class Columns:
    """Stacked columns, and the sum of the highest one."""

    rectangles: list[Rectangle]
    highest: float


def stacked(columns: Sequence[Sequence[Value]]) -> Columns:
    """Stack values from the bottom; the highest column fills the height.

    Example: columns (3, 1) and (2) → heights 75 and 25, then 50.
    """
    highest = max((_sum(column) for column in columns), default=0.0)
    if not highest:
        return Columns([], 0.0)
    step = WIDTH / len(columns)
    rectangles = []
    for index, column in enumerate(columns):
        top = HEIGHT
        for value in column:
            if not value.amount:
                continue
            height = value.amount / highest * HEIGHT
            top -= height
            x = index * step
            width = step * _COLUMN_SHARE
            rectangles.append(Rectangle(x, top, width, height, value.tone, value.title))
    return Columns(rectangles, highest)


def _sum(column: Sequence[Value]) -> float:
    return sum(value.amount for value in column)


def line(shares: Sequence[float | None]) -> list[str]:
    """Return the `points` of lines through shares from 0 to 1. An unknown one ends a line.

    A share between unknown ones is a short line: a single point would not be drawn.
    Example: (1, 0, None, 0.5) → "0,0 333.3,100" and "990,50 1000,50".
    """
    step = WIDTH / max(len(shares) - 1, 1)
    lines: list[list[tuple[float, float]]] = [[]]
    for index, share in enumerate(shares):
        if share is None:
            lines.append([])
            continue
        lines[-1].append((index * step, (1 - share) * HEIGHT))
    return [_points(points) for points in lines if points]


def _points(points: Sequence[tuple[float, float]]) -> str:
    if len(points) == 1:
        x, y = points[0]
        end = max(x, _LONE_WIDTH)
        points = [(end - _LONE_WIDTH, y), (end, y)]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
