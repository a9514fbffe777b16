"""A record that waits for the writer. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flows.record import FlowRecord

OnCommitted = Callable[[], None] | None
"""Called once a record need not be kept elsewhere any more."""


@dataclass(frozen=True, slots=True)
class QueuedRecord:
    """A waiting record.

    `waiting_since` is a monotonic time in seconds, `instance` the proxy that recorded the flow, ""
    for the writer's own. `on_committed` is called once the record need not be kept elsewhere.
    """

    record: FlowRecord
    size_bytes: int
    waiting_since: float
    bodies_dropped: bool = False
    instance: str = ""
    on_committed: OnCommitted = None
