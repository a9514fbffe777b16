"""Progress of long tools, reported to the client from the tool's thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar

Report = Callable[[float, float, str], None]
"""Takes what is done, of how much, and a sentence."""


def _to_no_client(done: float, total: float, sentence: str) -> None:
    """Drop a report."""


REPORT: ContextVar[Report] = ContextVar("mcp_report", default=_to_no_client)
"""Set for each call of a tool."""


def report(done: float, total: float, sentence: str) -> None:
    """Report progress to the client that called the running tool."""
    REPORT.get()(done, total, sentence)


def counted[T](values: Iterable[T], total: int, sentence: str) -> Iterator[T]:
    """Yield the values, and report each."""
    for number, value in enumerate(values, 1):
        yield value
        report(number, total, sentence)
