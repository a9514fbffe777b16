"""The Timing tab's bar: from the request's arrival to the response's last byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from flows.models import Flow

BAR_WIDTH: Final = 1000
MAX_TICKS: Final = 400


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the bar. Positions are in thousandths of the bar's width."""

    name: str
    label: str
    start_ms: float
    end_ms: float
    x: float
    width: float

    @property
    def took_ms(self) -> float:
        """Duration."""
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True)
class TimingBar:
    """The phases, and a tick for every chunk of a streamed response."""

    total_ms: float | None
    phases: list[Phase]
    ticks: list[float]
    chunks: int
    longest_gap_ms: float | None


class _Moment(NamedTuple):
    """The end of a phase, in milliseconds since the flow began; None where it is unknown."""

    name: str
    label: str
    at_ms: float | None


def timing_bar(flow: Flow, chunk_times: Sequence[Sequence[float]]) -> TimingBar:
    """Return the phases between the known moments, and a tick for each chunk.

    `chunk_times` are [offset, milliseconds since the flow began]. Example: connected at 40 ms and
    finished at 100 ms gives a phase of width 400 and one of width 600.
    """
    times = [float(chunk[1]) for chunk in chunk_times]
    moments = [
        _Moment("connect", "connected to the provider", flow.connect_ms),
        _Moment("wait", "waiting for the first byte", flow.first_byte_ms),
        _Moment("event", "first byte to first event", flow.first_event_ms),
        _Moment("rest", "receiving the response", flow.duration_ms),
    ]
    known = [moment.at_ms for moment in moments if moment.at_ms is not None]
    total = max(known + times, default=0.0)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    longest_gap = max(gaps, default=None)
    if total <= 0:
        return TimingBar(None, [], [], len(times), longest_gap)

    per_ms = BAR_WIDTH / total
    # Thousands of ticks look like a solid line and make the page heavy.
    step = max(1, len(times) // MAX_TICKS)
    ticks = [round(at * per_ms, 1) for at in times[::step]]
    return TimingBar(total, _phases(moments, per_ms), ticks, len(times), longest_gap)


def _phases(moments: Sequence[_Moment], per_ms: float) -> list[Phase]:
    phases: list[Phase] = []
    start = 0.0
    for name, label, at_ms in moments:
        if at_ms is None:
            continue
        end = max(start, at_ms)
        phases.append(Phase(name, label, start, end, start * per_ms, (end - start) * per_ms))
        start = end
    return phases
