"""What a benchmark section hands over: one figure a row, with the target it must keep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. `target` is the most it may be, in the same unit; None when nothing is
    promised.

    A ratio of two values of one run is fit to be compared with other runs, on other machines: see
    `.compare`.
    """

    what: str
    case: str
    value: float
    unit: str
    target: float | None = None

    @property
    def kept(self) -> bool:
        """True unless the target is missed."""
        return self.target is None or self.value <= self.target

    @property
    def is_ratio(self) -> bool:
        """True for a value that was divided by another one of the same run."""
        return self.unit == RATIO


RATIO = "×"


@dataclass(slots=True)
class Options:
    """What the command line said; sections that care look at `OPTIONS`."""

    quick: bool = False
    """A few minutes for everything: coarse, good enough to see a ratio go wrong."""
    soak_s: float = 60.0
    """How long the soak lasts."""
    runs: int = 1
    """How often each section runs; its figures are the medians then."""


OPTIONS = Options()


class Section(Protocol):
    """A module of this package."""

    TITLE: str

    def figures(self) -> Iterator[Figure]:
        """Measure; each figure as soon as it is known."""
        ...
