"""The recorder's judgement whether flows are stored."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from flows.writer.writer_stats import WriterStats

AFTER_S = 2.0
"""A database may be busy for a moment; a problem that lasts longer is said."""
NEARLY_FULL = 0.75
"""Share of a ring behind which bodies, then records, are about to be left out."""


class RecordingWatch:
    """Says why flows are not stored at the moment. The sentence names no detail of the database.

    Args:
        stats: returns the writer's state.
        fill: returns the used share of each ring.
        clock: monotonic time in seconds.
    """

    def __init__(
        self,
        stats: Callable[[], WriterStats],
        fill: Callable[[], Iterable[float]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stats, self._fill, self._clock = stats, fill, clock
        self._since: float | None = None
        self.problem = ""
        """The sentence of the last look, "" while flows are stored."""

    def look(self) -> str:
        """Return the sentence of this moment."""
        stats = self._stats()
        if not stats.is_refused:
            self._since = None
        elif self._since is None:
            self._since = self._clock()
        self.problem = self._sentence(stats)
        return self.problem

    def _sentence(self, stats: WriterStats) -> str:
        if self._since is not None and self._clock() - self._since >= AFTER_S:
            waiting = "they wait in memory"
            if stats.spooled_files:
                waiting = "they wait in memory and in the folder spool"
            return f"the database does not take flows; {waiting}, and are stored once it does"
        if max(self._fill(), default=0.0) >= NEARLY_FULL:
            return "flows come faster than they are stored; bodies are being left out"
        return ""
