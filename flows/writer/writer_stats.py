"""State of the writer of flows, as others see it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WriterStats:
    """The writer's state.

    `lag_s` is the age of the oldest record not yet written, 0 when all are.
    """

    queue_depth: int
    queue_bytes: int
    written: int
    bodies_dropped: int
    records_dropped: int
    records_failed: int
    pruned: int
    lag_s: float
    last_error: str
    is_refused: bool
    """The database does not take flows at the moment."""
    spooled_files: int
