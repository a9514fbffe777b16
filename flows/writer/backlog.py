"""Queue of records for the writer: one slot a flow, bounded by count and by bytes. Pure.

`put` is called on the proxy's event loop and never waits. A newer record of a flow takes the slot
of its older one, so a locked database costs one slot a flow however long its stream runs.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition
from typing import NamedTuple

from flows.record import FlowRecord, without_bodies

OnCommitted = Callable[[], None] | None
"""Called once a record need not be kept elsewhere any more."""

BATCH_BYTES = 4 * 1024 * 1024
"""Bodies of this size together are a batch, however few records they are of."""
_RECORD_BYTES = 4096
"""Estimated memory of a record without its bodies."""


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


class Held(NamedTuple):
    """Records and bytes held, here and by the writer, and since when the oldest waits here."""

    records: int
    size_bytes: int
    waiting_since: float | None


class Backlog:
    """The waiting records. When it is full, bodies are dropped first, then records.

    Without a free slot, records of running flows go first, because their last one is still to
    come. Only the loss of a flow's last record counts as a dropped record.
    """

    def __init__(self, *, max_records: int, max_bytes: int) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._waiting: OrderedDict[str, QueuedRecord] = OrderedDict()
        self._changed = Condition()
        self._waiting_bytes = 0
        self._taken_records = 0
        self._taken_bytes = 0
        self._settled: list[Callable[[], None]] = []
        self._batch = 1
        self.closed = False
        self.bodies_dropped = 0
        self.records_dropped = 0

    def put(
        self,
        record: FlowRecord,
        *,
        instance: str = "",
        bodies_dropped: bool = False,
        on_committed: OnCommitted = None,
    ) -> None:
        """Queue a record, or the part of it there is room for. Returns at once.

        Args:
            record: to be written.
            instance: the proxy that recorded it.
            bodies_dropped: its bodies were left out before it came here.
            on_committed: see `FlowWriter.record`.
        """
        size_bytes = record_bytes(record)
        with self._changed:
            if self.closed:
                self._refuse(record, on_committed)
                return
            older = self._waiting.get(record.id)
            if older is None and not self._make_slot(record):
                self._count_dropped(record)
                self._settle(on_committed)
                return
            waiting_since = time.monotonic()
            if older is not None:
                self._waiting_bytes -= older.size_bytes
                waiting_since = older.waiting_since
                self._settle(older.on_committed)
            if self._waiting_bytes + self._taken_bytes + size_bytes > self._max_bytes:
                self.bodies_dropped += 1
                record = without_bodies(record)
                size_bytes = _RECORD_BYTES
                bodies_dropped = True
            self._waiting[record.id] = QueuedRecord(
                record, size_bytes, waiting_since, bodies_dropped, instance, on_committed
            )
            before_bytes = self._waiting_bytes
            self._waiting_bytes += size_bytes
            # The writer sleeps until the first record, then until a batch is full.
            is_large = before_bytes < BATCH_BYTES <= self._waiting_bytes
            if is_large or len(self._waiting) in (1, self._batch):
                self._changed.notify()

    def has_room(self, size_bytes: int) -> bool:
        """Return whether a record with bodies of this size would be queued with them.

        Always true of an empty backlog: no wait would give more room.
        """
        # Without the lock: the numbers are a moment old either way.
        records = len(self._waiting) + self._taken_records
        if records == 0:
            return True
        held_bytes = self._waiting_bytes + self._taken_bytes
        fits = held_bytes + size_bytes + _RECORD_BYTES <= self._max_bytes
        return fits and records < self._max_records

    def take_settled(self) -> list[Callable[[], None]]:
        """Return the callbacks of records that a newer one replaced here, or that were dropped."""
        with self._changed:
            settled = self._settled
            self._settled = []
            return settled

    def take(self, limit: int) -> list[QueuedRecord]:
        """Return the oldest records, at most `limit`.

        They count against the bounds until `count_taken` reports what is left of them.
        """
        with self._changed:
            taken: list[QueuedRecord] = []
            while self._waiting and len(taken) < limit:
                _, queued = self._waiting.popitem(last=False)
                taken.append(queued)
            size_bytes = sum(queued.size_bytes for queued in taken)
            self._waiting_bytes -= size_bytes
            self._taken_records += len(taken)
            self._taken_bytes += size_bytes
            return taken

    def wait(self, *, idle_s: float, window_s: float, batch: int) -> None:
        """Sleep until a record waits (at most `idle_s`), then until a batch is full.

        The latter takes at most `window_s`.
        """
        with self._changed:
            self._batch = batch
            self._changed.wait_for(self._has_record, idle_s)
            if self._waiting and not self.closed:
                self._changed.wait_for(self._has_batch, window_s)

    def count_taken(self, records: int, size_bytes: int) -> None:
        """Report how much of what was taken is still in memory."""
        with self._changed:
            self._taken_records = records
            self._taken_bytes = size_bytes

    def close(self) -> None:
        """Refuse further records."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def held(self) -> Held:
        """Return what is held in memory."""
        with self._changed:
            waiting_since: float | None = None
            for oldest in self._waiting.values():
                waiting_since = oldest.waiting_since
                break
            return Held(
                records=self._taken_records + len(self._waiting),
                size_bytes=self._taken_bytes + self._waiting_bytes,
                waiting_since=waiting_since,
            )

    def _has_record(self) -> bool:
        return self.closed or bool(self._waiting)

    def _has_batch(self) -> bool:
        is_full = len(self._waiting) >= self._batch or self._waiting_bytes >= BATCH_BYTES
        return self.closed or is_full

    def _settle(self, on_committed: OnCommitted) -> None:
        if on_committed is not None:
            self._settled.append(on_committed)

    def _refuse(self, record: FlowRecord, on_committed: OnCommitted) -> None:
        """Count a record that comes after the end, unless its sender keeps it."""
        if on_committed is None:
            self._count_dropped(record)

    def _count_dropped(self, record: FlowRecord) -> None:
        # A running flow's last record is still to come.
        if record.state != "live":
            self.records_dropped += 1

    def _make_slot(self, record: FlowRecord) -> bool:
        """Find a slot for a new flow, if need be that of a running one."""
        if len(self._waiting) + self._taken_records < self._max_records:
            return True
        if record.state == "live":
            return False
        for flow_id, queued in self._waiting.items():
            if queued.record.state == "live":
                self._waiting_bytes -= queued.size_bytes
                self._settle(queued.on_committed)
                del self._waiting[flow_id]
                return True
        return False


def record_bytes(record: FlowRecord) -> int:
    """Estimate the memory of a record; a body that several sides share counts once."""
    sizes = {id(side.body): len(side.body) for side in record.sides if side.body}
    for step in record.hooks:
        for body in (step.body_before, step.body_after):
            if body:
                sizes[id(body)] = len(body)
    for message in record.messages:
        sizes[id(message.content)] = len(message.content)
    return _RECORD_BYTES + sum(sizes.values())
