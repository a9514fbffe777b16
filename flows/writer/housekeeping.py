"""What the record needs now and then, cut into small steps that fit between two batches of the
writer.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from flows.writer import retention
from flows.writer.retention import RetentionPolicy

PRUNE_EVERY_S = 60.0
SWEEP_EVERY_S = 6 * 3600.0
_RETRY_S = 5.0


class Housekeeping:
    """Runs on the writer's thread. `step` does one small piece of what is due."""

    def __init__(self, policy: RetentionPolicy | None) -> None:
        self._policy = policy
        self._shrinkable = False
        self._prune_at = 0.0
        self._sweep_at = 0.0
        self._sweep_after = ""
        self._reclaim = False
        self.pruned = 0

    def step(self) -> float:
        """Do one piece; returns in how many seconds the next is due (0: at once).

        Database errors come through.
        """
        now = time.monotonic()
        if not self._shrinkable:
            retention.make_shrinkable()
            self._shrinkable = True
        elif now >= self._prune_at:
            self._prune(now)
        elif self._reclaim:
            self._reclaim = retention.reclaim_chunk()
        elif now >= self._sweep_at:
            self._sweep_after = retention.sweep_chunk(self._sweep_after)
            self._sweep_at = self._sweep_at if self._sweep_after else now + SWEEP_EVERY_S
        return (
            0.0
            if self._reclaim
            else max(0.0, min(self._prune_at, self._sweep_at) - time.monotonic())
        )

    def postpone(self) -> float:
        """The database was busy: try again later; returns in how many seconds."""
        return _RETRY_S

    def _prune(self, now: float) -> None:
        deleted = retention.prune_chunk(self._policy, datetime.now(UTC)) if self._policy else 0
        self.pruned += deleted
        self._reclaim = self._reclaim or deleted > 0
        if not deleted:
            self._prune_at = now + PRUNE_EVERY_S
