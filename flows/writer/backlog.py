"""Hand-overs that wait for the writer: one slot a flow, bounded by count and by bytes. Pure.

`put` is called on the proxy's event loop and never waits. A newer hand-over of a flow takes the
slot of its older one, so a locked database costs one slot a flow however long its stream runs.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from threading import Condition

from flows.record import FlowRecord

_RECORD_BYTES = 4096
"""A hand-over without its bodies, roughly."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """A waiting record. `waiting_since` is a monotonic time in seconds."""

    record: FlowRecord
    size_bytes: int
    waiting_since: float
    bodies_dropped: bool = False


class Backlog:
    """The waiting hand-overs. Full: a record loses its bodies; fuller: it is dropped. Both are
    counted.

    What is dropped when there is no slot: hand-overs of running flows first, because their last one
    is still to come. Only the loss of a flow's last hand-over counts as a dropped record.
    """

    def __init__(self, *, max_records: int, max_bytes: int) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._waiting: OrderedDict[str, HandOver] = OrderedDict()
        self._changed = Condition()
        self._bytes = 0
        self._elsewhere = (0, 0)
        self._batch = 1
        self.closed = False
        self.bodies_dropped = 0
        self.records_dropped = 0

    def put(self, record: FlowRecord) -> None:
        """Take a hand-over, or what there is room for. Returns at once."""
        size_bytes = record_bytes(record)
        with self._changed:
            older = self._waiting.get(record.id)
            if self.closed or (older is None and not self._room_for_record(record)):
                self.records_dropped += record.state != "live"
                return
            self._bytes -= older.size_bytes if older else 0
            since = older.waiting_since if older else time.monotonic()
            hand_over = HandOver(record, size_bytes, since)
            if self._bytes + self._elsewhere[1] + size_bytes > self._max_bytes:
                self.bodies_dropped += 1
                hand_over = HandOver(
                    without_bodies(record), _RECORD_BYTES, since, bodies_dropped=True
                )
            self._waiting[record.id] = hand_over
            self._bytes += hand_over.size_bytes
            if len(self._waiting) in (1, self._batch):
                self._changed.notify()

    def take(self, limit: int) -> list[HandOver]:
        """The oldest hand-overs, at most `limit`; they count as held elsewhere until
        `count_elsewhere` says more.
        """
        with self._changed:
            taken = [
                self._waiting.popitem(last=False)[1] for _ in range(min(limit, len(self._waiting)))
            ]
            size_bytes = sum(hand_over.size_bytes for hand_over in taken)
            self._bytes -= size_bytes
            self._elsewhere = (self._elsewhere[0] + len(taken), self._elsewhere[1] + size_bytes)
            return taken

    def wait(self, *, idle_s: float, window_s: float, batch: int) -> None:
        """Sleep until something waits (`idle_s` at most), then until a batch is full (`window_s` at
        most).
        """
        with self._changed:
            self._batch = batch
            self._changed.wait_for(lambda: self._waiting or self.closed, idle_s)
            if self._waiting and not self.closed:
                self._changed.wait_for(lambda: len(self._waiting) >= batch or self.closed, window_s)

    def count_elsewhere(self, records: int, size_bytes: int) -> None:
        """Tell how much of what was taken is still held in memory; it counts against the bounds."""
        with self._changed:
            self._elsewhere = (records, size_bytes)

    def close(self) -> None:
        """Take nothing more."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def held(self) -> tuple[int, int, float | None]:
        """Records and bytes held, and since when (monotonic) the oldest waits here."""
        with self._changed:
            oldest = next(iter(self._waiting.values()), None)
            records, size_bytes = self._elsewhere
            since = oldest.waiting_since if oldest else None
            return records + len(self._waiting), size_bytes + self._bytes, since

    def _room_for_record(self, record: FlowRecord) -> bool:
        if len(self._waiting) + self._elsewhere[0] < self._max_records:
            return True
        if record.state == "live":
            return False
        running = (
            flow_id for flow_id, waiting in self._waiting.items() if waiting.record.state == "live"
        )
        if (victim := next(running, None)) is None:
            return False
        self._bytes -= self._waiting.pop(victim).size_bytes
        return True


def record_bytes(record: FlowRecord) -> int:
    """About how much memory a record holds; a body that several sides share counts once."""
    sizes = {id(side.body): len(side.body) for side in record.sides if side.body}
    for step in record.hooks:
        for body in (step.body_before, step.body_after):
            if body:
                sizes[id(body)] = len(body)
    for message in record.messages:
        sizes[id(message.content)] = len(message.content)
    return _RECORD_BYTES + sum(sizes.values())


def without_bodies(record: FlowRecord) -> FlowRecord:
    """The record's heads alone."""
    return replace(
        record,
        sides=tuple(replace(side, body=None) for side in record.sides),
        hooks=tuple(replace(step, body_before=None, body_after=None) for step in record.hooks),
        messages=(),
    )
