"""What a benchmark section hands over: one figure a row, with the target it must keep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. `target` is the most it may be, in the same unit; None when nothing is promised."""

    what: str
    case: str
    value: float
    unit: str
    target: float | None = None

    @property
    def kept(self) -> bool:
        """True unless the target is missed."""
        return self.target is None or self.value <= self.target


class Section(Protocol):
    """A module of this package."""

    TITLE: str

    def figures(self) -> Iterator[Figure]:
        """Measure; each figure as soon as it is known."""
        ...
