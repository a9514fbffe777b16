"""The log's lines about flows that are not stored: one a minute while that lasts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

logger = logging.getLogger("ccproxy")

EVERY_S = 60.0


class RecordingLog:
    """Logs a problem when it begins, every minute while it lasts, and its end.

    Args:
        clock: monotonic time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._problem = ""
        self._logged_at = 0.0

    def tell(self, problem: str) -> None:
        """Note the problem of this moment, "" for none; to be called about every second."""
        now = self._clock()
        has_begun = bool(problem) and not self._problem
        if has_begun or (problem and now - self._logged_at >= EVERY_S):
            logger.error("not recording: %s", problem)
            self._logged_at = now
        elif self._problem and not problem:
            logger.info("recording again")
        self._problem = problem
