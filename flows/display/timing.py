"""The Timing tab: a bar from the request's arrival to the answer's last byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from flows.models import Flow

BAR_WIDTH: Final = 1000
MAX_TICKS: Final = 400


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the bar. Positions are in thousandths of the whole."""

    name: str
    label: str
    start_ms: float
    end_ms: float
    x: float
    width: float

    @property
    def took_ms(self) -> float:
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True)
class TimingBar:
    """The phases, and a tick for every piece of a streamed answer."""

    total_ms: float | None
    phases: list[Phase]
    ticks: list[float]
    chunks: int
    longest_gap_ms: float | None


def timing_bar(flow: Flow, chunk_times: Sequence[Sequence[float]]) -> TimingBar:
    """Phases between the moments that are known; all moments count from the flow's begin."""
    times = [float(chunk[1]) for chunk in chunk_times]
    moments = [
        ("connect", "connected to the provider", flow.connect_ms),
        ("wait", "waiting for the first byte", flow.first_byte_ms),
        ("event", "first byte to first event", flow.first_event_ms),
        ("rest", "receiving the answer", flow.duration_ms),
    ]
    total = max([moment for *_, moment in moments if moment is not None] + times, default=0.0)
    phases: list[Phase] = []
    start = 0.0
    for name, label, moment in moments:
        if moment is None or total <= 0:
            continue
        end = max(start, moment)
        phases.append(
            Phase(
                name,
                label,
                start,
                end,
                start / total * BAR_WIDTH,
                (end - start) / total * BAR_WIDTH,
            )
        )
        start = end
    step = max(1, len(times) // MAX_TICKS)
    ticks = [round(at / total * BAR_WIDTH, 1) for at in times[::step]] if total > 0 else []
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return TimingBar(total or None, phases, ticks, len(times), max(gaps, default=None))
