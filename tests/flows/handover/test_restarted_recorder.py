"""What the database has not taken yet is read from the ring again by the recorder's successor."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from flows.handover.commit_order import CommitOrder
from flows.handover.record_codec import BODIES_DROPPED, decode
from flows.handover.ring import Ring, RingReader, RingWriter
from flows.handover.sink import RingSink
from flows.models import Flow
from flows.record import FlowRecord
from flows.redaction.redactor import Redactor
from flows.writer.thread import FlowWriter
from providers.auth.registry import SecretRegistry
from tests.flows.records import eventually, flow, live
from tests.flows.writer.test_thread import locked_database, needs_a_file_lock

pytestmark = pytest.mark.django_db(transaction=True)


class Recorder:
    """The reading end, as a process would build it when it starts."""

    def __init__(self, ring: Ring) -> None:
        self.reader = RingReader(ring)
        self.order = CommitOrder(self.reader.position)
        self.writer = FlowWriter(
            redactor=Redactor(SecretRegistry()), batch_window_s=0.01, busy_timeout_ms=20
        )
        self.writer.start()

    def read(self) -> int:
        """Give the writer what waits; return the number of records."""
        frames = self.reader.frames(1 << 30)
        for frame in frames:
            record = decode(frame.kind, frame.payload)
            assert isinstance(record, FlowRecord)
            self.order.read(frame.end)
            self.writer.record(
                record,
                instance="proxy-1",
                bodies_dropped=bool(frame.kind & BODIES_DROPPED),
                on_committed=partial(self.order.commit, frame.end),
            )
        return len(frames)

    def release(self) -> None:
        """Release what is stored."""
        self.reader.release(self.order.committed)


@contextmanager
def recorder(ring: Ring, close_s: float = 20.0) -> Iterator[Recorder]:
    """Run a recorder that gives up after `close_s`, as a killed one does at once."""
    running = Recorder(ring)
    try:
        yield running
    finally:
        running.writer.close(close_s)


@pytest.fixture
def ring() -> Iterator[Ring]:
    made = Ring.create(16 * 1024 * 1024)
    yield made
    made.close()


@needs_a_file_lock
def test_a_recorder_that_ends_while_the_database_is_locked_loses_nothing(ring: Ring) -> None:
    sink = RingSink(RingWriter(ring, lambda: None), lambda _: b"")
    with recorder(ring, close_s=0.1) as first:
        sink.finished(flow("early"))
        first.read()
        eventually(lambda: first.order.pending == 0)
        first.release()
        with locked_database():
            for number in range(30):
                sink.started(live(f"flow-{number}"))
            for number in range(20):
                sink.finished(flow(f"flow-{number}"))
            assert first.read() == 50
            first.writer.close(0.1)
            first.release()
    for number in range(20, 30):
        sink.finished(flow(f"flow-{number}"))
    with recorder(ring) as second:
        assert second.read() > 30
        eventually(lambda: second.order.pending == 0)
        second.release()
    assert Flow.objects.filter(state="done", instance="proxy-1").count() == 31
    assert RingReader(ring).frames(1) == []


def test_recorders_that_end_at_any_moment_lose_nothing(ring: Ring) -> None:
    moments = random.Random(4)
    sink = RingSink(RingWriter(ring, lambda: None), lambda _: b"")
    for generation in range(5):
        with recorder(ring, close_s=0.0) as one:
            for number in range(40):
                flow_id = f"flow-{generation}-{number}"
                sink.started(live(flow_id))
                if moments.random() < 0.3:
                    one.read()
                    one.release()
                sink.finished(flow(flow_id))
    with recorder(ring) as last:
        last.read()
        eventually(lambda: last.order.pending == 0)
    assert Flow.objects.filter(state="done").count() == 200
    assert not Flow.objects.exclude(state="done").exists()
