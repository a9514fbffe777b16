"""Rows that wait for the database, one entry a flow. Thread-safe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple

from flows.writer.backlog import OnCommitted
from flows.writer.rows.flow_rows import FlowRows


@dataclass(frozen=True, slots=True)
class Prepared:
    """Rows of one flow.

    `waiting_since` is a monotonic time in seconds; `on_committed` is called once the record need
    not be kept elsewhere.
    """

    rows: FlowRows
    waiting_since: float
    on_committed: OnCommitted

    @property
    def flow_id(self) -> str:
        """The flow's id."""
        flow_id: str = self.rows.flow.pk
        return flow_id


class Size(NamedTuple):
    """Entries and their memory in bytes."""

    flows: int
    size_bytes: int


class PreparedRows:
    """The waiting rows, oldest first. A newer state of a flow keeps the older one's rank."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._rows: dict[str, Prepared] = {}

    def __bool__(self) -> bool:
        return bool(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, prepared: Prepared) -> Prepared | None:
        """Add rows; return those of the flow's older state, which need not be written."""
        with self._lock:
            older = self._rows.get(prepared.flow_id)
            if older is not None:
                since = older.waiting_since
                prepared = Prepared(prepared.rows, since, prepared.on_committed)
            self._rows[prepared.flow_id] = prepared
            return older

    def first(self, limit: int) -> list[Prepared]:
        """Return the oldest entries, at most `limit`, and keep them."""
        with self._lock:
            return list(self._rows.values())[:limit]

    def remove(self, batch: Sequence[Prepared]) -> list[Prepared]:
        """Remove entries; return those that were here still, and had no newer state."""
        removed: list[Prepared] = []
        with self._lock:
            for prepared in batch:
                if self._rows.get(prepared.flow_id) is prepared:
                    del self._rows[prepared.flow_id]
                    removed.append(prepared)
        return removed

    def size(self) -> Size:
        """Return how much waits."""
        with self._lock:
            held = sum(prepared.rows.held_bytes for prepared in self._rows.values())
            return Size(len(self._rows), held)

    def waiting_since(self) -> float | None:
        """Return since when the oldest entry waits."""
        for oldest in self.first(1):
            return oldest.waiting_since
        return None
