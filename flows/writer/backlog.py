"""Queue of records for the writer: one slot a flow, bounded by count and by bytes. Pure.

`put` is called on the proxy's event loop and never waits. A newer record of a flow takes the slot
of its older one, so a locked database costs one slot a flow however long its stream runs.

The state of a running flow may be put with a time to wait. Until that is over it is not handed out,
and mostly the flow's end replaces it: the database then stores one state instead of several.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from threading import Condition
from typing import NamedTuple

from flows.record import FlowRecord, without_bodies
from flows.writer.waiting.early_records import EarlyRecords
from flows.writer.waiting.queued_record import OnCommitted as OnCommitted
from flows.writer.waiting.queued_record import QueuedRecord as QueuedRecord

BATCH_BYTES = 4 * 1024 * 1024
"""Bodies of this size together are a batch, however few records they are of."""
EARLY_BYTES = 4 * 1024 * 1024
"""Records whose time has not come take this much memory together; others are written at once."""
_RECORD_BYTES = 4096
"""Estimated memory of a record without its bodies."""


class Held(NamedTuple):
    """Records and bytes held, here and by the writer, and since when the oldest waits here.

    Records whose time has not come are left out: nothing is behind because of them.
    """

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
        self._early = EarlyRecords()
        self._changed = Condition()
        self._waiting_bytes = 0
        self._taken_records = 0
        self._taken_bytes = 0
        self._settled: list[Callable[[], None]] = []
        self._batch = 1
        self._is_hurried = False
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
        wait_s: float = 0.0,
    ) -> None:
        """Queue a record, or the part of it there is room for. Returns at once.

        Args:
            record: to be written.
            instance: the proxy that recorded it.
            bodies_dropped: its bodies were left out before it came here.
            on_committed: see `FlowWriter.record`.
            wait_s: time in which a newer record of the flow may replace it before it is written.
                A state that waits already keeps its time.
        """
        size_bytes = record_bytes(record)
        with self._changed:
            if self.closed:
                self._refuse(record, on_committed)
                return
            since = time.monotonic()
            older = self._take_older(record.id)
            if older is not None:
                since = older.waiting_since
            elif not self._make_slot(record):
                self._count_dropped(record)
                self._settle(on_committed)
                return
            if self._held_bytes() + size_bytes > self._max_bytes:
                self.bodies_dropped += 1
                record = without_bodies(record)
                size_bytes = _RECORD_BYTES
                bodies_dropped = True
            queued = QueuedRecord(record, size_bytes, since, bodies_dropped, instance, on_committed)
            if not self._put_early(queued, wait_s):
                self._put_waiting(queued)

    def has_room(self, size_bytes: int) -> bool:
        """Return whether a record with bodies of this size would be queued with them.

        Always true of an empty backlog: no wait would give more room.
        """
        # Without the lock: the numbers are a moment old either way.
        records = len(self._waiting) + len(self._early) + self._taken_records
        if records == 0:
            return True
        fits = self._held_bytes() + size_bytes + _RECORD_BYTES <= self._max_bytes
        return fits and records < self._max_records

    def take_settled(self) -> list[Callable[[], None]]:
        """Return the callbacks of records that a newer one replaced here, or that were dropped."""
        with self._changed:
            settled = self._settled
            self._settled = []
            return settled

    def take(self, limit: int) -> list[QueuedRecord]:
        """Return the oldest records, at most `limit`, and no more once they have `BATCH_BYTES`.

        The links of a batch are made while its bodies are in memory, where there is room for a few
        large ones. They count against the bounds until `count_taken` reports what is left of them.
        """
        with self._changed:
            self._is_hurried = False
            taken: list[QueuedRecord] = []
            size_bytes = 0
            while self._waiting and len(taken) < limit and size_bytes < BATCH_BYTES:
                _, queued = self._waiting.popitem(last=False)
                taken.append(queued)
                size_bytes += queued.size_bytes
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
            self._wait_for_record(idle_s)
            if self._waiting and not self.closed:
                self._changed.wait_for(self._has_batch, window_s)

    def hurry(self, *, at_once: bool = False) -> list[FlowRecord]:
        """Let no record wait for its time any more; return those that did.

        `at_once`: nor for a full batch.
        """
        with self._changed:
            hurried = self._take_early(float("inf"))
            if hurried:
                self._is_hurried = self._is_hurried or at_once
                self._changed.notify()
        return [queued.record for queued in hurried]

    def count_taken(self, records: int, size_bytes: int) -> None:
        """Report how much of what was taken is still in memory."""
        with self._changed:
            self._taken_records = records
            self._taken_bytes = size_bytes

    def close(self) -> None:
        """Refuse further records."""
        with self._changed:
            self.closed = True
            self._take_early(float("inf"))
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

    def _held_bytes(self) -> int:
        return self._waiting_bytes + self._early.size_bytes + self._taken_bytes

    def _take_older(self, flow_id: str) -> QueuedRecord | None:
        """Settle the flow's older record, which a newer one replaces; return it."""
        early = self._early.get(flow_id)
        if early is not None:
            self._settle(early.on_committed)
            # It did not wait for the writer.
            return replace(early, waiting_since=time.monotonic())
        older = self._waiting.get(flow_id)
        if older is not None:
            self._waiting_bytes -= older.size_bytes
            self._settle(older.on_committed)
        return older

    def _put_early(self, queued: QueuedRecord, wait_s: float) -> bool:
        """Let a record wait for its time; return False where it must not."""
        if wait_s <= 0.0 or queued.record.id in self._waiting:
            return False
        if self._early.size_bytes + queued.size_bytes > EARLY_BYTES:
            return False
        if self._early.put(queued, time.monotonic() + wait_s):
            # The writer sleeps longer than until then.
            self._changed.notify()
        return True

    def _put_waiting(self, queued: QueuedRecord) -> None:
        self._early.pop(queued.record.id)
        self._waiting[queued.record.id] = queued
        before_bytes = self._waiting_bytes
        self._waiting_bytes += queued.size_bytes
        # The writer sleeps until the first record, then until a batch is full.
        is_large = before_bytes < BATCH_BYTES <= self._waiting_bytes
        if is_large or len(self._waiting) in (1, self._batch):
            self._changed.notify()

    def _wait_for_record(self, idle_s: float) -> None:
        """Sleep until a record waits whose time has come, or for `idle_s`."""
        now = time.monotonic()
        until = now + idle_s
        while True:
            self._take_early(now)
            if self.closed or self._waiting or now >= until:
                return
            self._changed.wait(min(until, self._early.next_due_at()) - now)
            now = time.monotonic()

    def _take_early(self, now: float) -> list[QueuedRecord]:
        """Let the records wait for the writer whose time has come; return them."""
        due = self._early.take_due(now)
        for queued in due:
            self._waiting[queued.record.id] = replace(queued, waiting_since=time.monotonic())
            self._waiting_bytes += queued.size_bytes
        return due

    def _has_batch(self) -> bool:
        is_full = len(self._waiting) >= self._batch or self._waiting_bytes >= BATCH_BYTES
        return self.closed or self._is_hurried or is_full

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
        held = len(self._waiting) + len(self._early) + self._taken_records
        if held < self._max_records:
            return True
        if record.state == "live":
            return False
        if (early := self._early.pop_oldest()) is not None:
            self._settle(early.on_committed)
            return True
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
