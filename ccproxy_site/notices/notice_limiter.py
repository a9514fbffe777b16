"""Rate limit of notices: one of a kind in an interval, the others counted in the next one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from ccproxy_site.notices.notice import Notice

KIND_WORDS: Final = {
    "failure": ("failure", "failures"),
    "cache_break": ("cache break", "cache breaks"),
    "spend": ("limit of costs passed", "limits of costs passed"),
    "login": ("login in trouble", "logins in trouble"),
    "cooldown": ("cooldown", "cooldowns"),
    "recording": ("interruption of the record", "interruptions of the record"),
}
"""Kind of a notice → one event of it, and several."""


@dataclass(slots=True)
class _Kind:
    """Events of a kind since its last notice."""

    free_at: float
    held: Notice | None = None
    count: int = 0


class NoticeLimiter:
    """The limit. Not thread-safe.

    Example with an interval of 60 s: failures after 0, 5 and 20 s → a notice after 0 s, and "2 more
    failures in the last minute" after 60 s.
    """

    def __init__(self, interval_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_s, self._clock = interval_s, clock
        self._kinds: dict[str, _Kind] = {}

    def admit(self, made: Notice, count: int = 1) -> Notice | None:
        """Return the notice if it may be sent now; None: it is held for the next one.

        Args:
            made: about the newest of the events.
            count: number of events.
        """
        now = self._clock()
        kind = self._kinds.setdefault(made.kind, _Kind(now))
        if kind.held is None and now >= kind.free_at:
            kind.free_at = now + self._interval_s
            return made if count == 1 else replace(made, count=count)
        kind.held = made
        kind.count += count
        return None

    def due(self) -> list[Notice]:
        """Return the summaries whose time has come."""
        now = self._clock()
        found: list[Notice] = []
        for kind in self._kinds.values():
            if kind.held is None or now < kind.free_at:
                continue
            found.append(self._summary(kind.held, kind.count))
            kind.held, kind.count = None, 0
            kind.free_at = now + self._interval_s
        return found

    def _summary(self, last: Notice, count: int) -> Notice:
        if count == 1:
            return last
        one, many = KIND_WORDS.get(last.kind, ("event", "events"))
        text = f"{count} more {many if count > 1 else one} in {self._span()}; the last: {last.text}"
        return replace(last, text=text, count=count, key="")

    def _span(self) -> str:
        if self._interval_s == 60:
            return "the last minute"
        if self._interval_s >= 120:
            return f"the last {self._interval_s / 60:.0f} minutes"
        return f"the last {self._interval_s:g} s"
