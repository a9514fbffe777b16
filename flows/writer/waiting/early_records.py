"""Records of running flows whose time to be written has not come. Pure."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import NamedTuple

from flows.writer.waiting.queued_record import QueuedRecord


class EarlyRecord(NamedTuple):
    """A record, and the monotonic time in seconds at which it is to be written."""

    due_at: float
    queued: QueuedRecord


class EarlyRecords:
    """One record a flow, and the order in which their times come. Not thread-safe."""

    def __init__(self) -> None:
        self._records: dict[str, EarlyRecord] = {}
        # Times of flows that were taken out stay until they are the next ones.
        self._order: list[tuple[float, str]] = []
        self.size_bytes = 0
        """Estimated memory of the records."""

    def __len__(self) -> int:
        return len(self._records)

    def put(self, queued: QueuedRecord, due_at: float) -> bool:
        """Add a record, which keeps the time of its flow's older one.

        Returns whether a time was added that comes before all others.
        """
        flow_id = queued.record.id
        self.size_bytes += queued.size_bytes
        older = self._records.get(flow_id)
        if older is not None:
            self.size_bytes -= older.queued.size_bytes
            self._records[flow_id] = EarlyRecord(older.due_at, queued)
            return False
        self._records[flow_id] = EarlyRecord(due_at, queued)
        heappush(self._order, (due_at, flow_id))
        return self._order[0] == (due_at, flow_id)

    def get(self, flow_id: str) -> QueuedRecord | None:
        """Return a flow's record, if there is one."""
        early = self._records.get(flow_id)
        return early.queued if early else None

    def pop(self, flow_id: str) -> QueuedRecord | None:
        """Take a flow's record out, if there is one."""
        early = self._records.pop(flow_id, None)
        if early is None:
            return None
        self.size_bytes -= early.queued.size_bytes
        return early.queued

    def pop_oldest(self) -> QueuedRecord | None:
        """Take out the record of the flow that came first; None without records."""
        flow_id = next(iter(self._records), None)
        return None if flow_id is None else self.pop(flow_id)

    def next_due_at(self) -> float:
        """Return the next time that comes; infinity without records."""
        while self._order:
            due_at, flow_id = self._order[0]
            early = self._records.get(flow_id)
            if early is not None and early.due_at == due_at:
                return due_at
            # Its flow was taken out, or came again with another time.
            heappop(self._order)
        return float("inf")

    def take_due(self, now: float) -> list[QueuedRecord]:
        """Take out the records whose time has come, in this order."""
        due: list[QueuedRecord] = []
        while self._records and self.next_due_at() <= now:
            _, flow_id = heappop(self._order)
            if (queued := self.pop(flow_id)) is not None:
                due.append(queued)
        return due
