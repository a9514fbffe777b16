"""Periodic work on the record, in small steps that fit between two batches of the writer."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from flows.writer import retention
from flows.writer.retention_policy import RetentionPolicy

PRUNE_EVERY_S = 60.0
SWEEP_EVERY_S = 6 * 3600.0
RETRY_S = 5.0
"""Wait after a database error."""


class Housekeeping:
    """Scheduler of retention, sweeping and giving space back. Runs on the writer's thread."""

    def __init__(self, policy: RetentionPolicy | None) -> None:
        self._policy = policy
        self._shrinkable = False
        self._prune_at = 0.0
        self._sweep_at = 0.0
        self._sweep_after = ""
        self._reclaim = False
        self._log_is_long = False
        self.pruned = 0

    def step(self) -> float:
        """Do one step of what is due; return the seconds until the next (0: at once).

        Raises database errors.
        """
        now = time.monotonic()
        if not self._shrinkable:
            retention.make_shrinkable()
            self._shrinkable = True
        elif now >= self._prune_at:
            self._prune(now)
        elif self._reclaim:
            self._reclaim = retention.reclaim_chunk()
            self._log_is_long = True
        elif self._log_is_long:
            # Where a reader keeps it from working, SQLite's own checkpoints do it later.
            retention.truncate_log()
            self._log_is_long = False
        elif now >= self._sweep_at:
            self._sweep(now)
        if self._reclaim or self._log_is_long:
            return 0.0
        next_at = min(self._prune_at, self._sweep_at)
        return max(0.0, next_at - time.monotonic())

    def _prune(self, now: float) -> None:
        deleted = 0
        if self._policy is not None:
            deleted = retention.prune_chunk(self._policy, datetime.now(UTC))
        self.pruned += deleted
        # Users and other processes delete flows too, so free pages are looked for each time.
        self._reclaim = True
        # After a deletion there may be more.
        if not deleted:
            self._prune_at = now + PRUNE_EVERY_S

    def _sweep(self, now: float) -> None:
        self._sweep_after = retention.sweep_chunk(self._sweep_after)
        if not self._sweep_after:
            self._sweep_at = now + SWEEP_EVERY_S
