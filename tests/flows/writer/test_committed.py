"""The writer says of every record of another process when it need not be kept there any more."""

from __future__ import annotations

import threading

import pytest

from flows.models import Flow, UsageDaily
from flows.record import FlowRecord
from flows.services import mark_interrupted_of
from flows.writer.thread import FlowWriter
from tests.flows.records import eventually, flow, live, side
from tests.flows.writer.test_thread import locked_database, needs_a_file_lock, running

pytestmark = pytest.mark.django_db(transaction=True)


class Sender:
    """Sends records and notes which of them were committed, by which thread, in which order."""

    def __init__(self, writer: FlowWriter) -> None:
        self._writer = writer
        self.committed: list[str] = []
        self.threads: set[str] = set()

    def send(self, record: FlowRecord, name: str, instance: str = "") -> None:
        def note() -> None:
            self.committed.append(name)
            self.threads.add(threading.current_thread().name)

        self._writer.record(record, instance=instance, on_committed=note)


def test_a_record_is_committed_once_its_row_is_stored() -> None:
    seen: list[int] = []
    with running() as writer:
        writer.record(flow(), on_committed=lambda: seen.append(Flow.objects.count()))
        eventually(lambda: seen)
    assert seen == [1]


def test_rows_are_of_the_proxy_that_recorded_them() -> None:
    with running(instance="own") as writer:
        writer.record(flow("a"), instance="proxy-1")
        writer.record(flow("b"), instance="proxy-2")
        writer.finished(flow("c"))
    instances = dict(Flow.objects.values_list("id", "instance"))
    assert instances == {"a": "proxy-1", "b": "proxy-2", "c": "own"}


def test_bodies_that_the_proxy_left_out_are_said() -> None:
    with running() as writer:
        writer.record(flow("a", sides=(side("client"),)), bodies_dropped=True)
        writer.record(flow("b"))
    dropped = dict(Flow.objects.values_list("id", "bodies_dropped"))
    assert dropped == {"a": True, "b": False}
    assert writer.stats().bodies_dropped == 0, "the proxy counts it"


@needs_a_file_lock
def test_a_newer_record_commits_the_older_while_the_database_is_locked() -> None:
    with running(busy_timeout_ms=20) as writer:
        sender = Sender(writer)
        with locked_database():
            sender.send(live("a"), "waits in the queue or as rows")
            eventually(lambda: "locked" in writer.stats().last_error)
            sender.send(live("a"), "replaced it")
            eventually(lambda: sender.committed)
            sender.send(flow("a"), "last")
            sender.send(flow("b"), "other")
            eventually(lambda: len(sender.committed) == 2)
        eventually(lambda: len(sender.committed) == 4)
    assert sender.committed[:2] == ["waits in the queue or as rows", "replaced it"]
    assert set(sender.committed[2:]) == {"last", "other"}
    assert sender.threads == {"flow-writer"}


def test_a_record_that_cannot_be_stored_is_not_waited_for() -> None:
    with running(batch_window_s=0.3) as writer:
        sender = Sender(writer)
        sender.send(flow("poison", rule_id=2**70), "poison")
        sender.send(flow("unbuildable", started_at=float("nan")), "unbuildable")
        sender.send(flow("good"), "good")
        eventually(lambda: len(sender.committed) == 3)
    assert set(Flow.objects.values_list("id", flat=True)) == {"good"}
    assert writer.stats().records_failed == 2


@needs_a_file_lock
def test_what_close_gives_up_stays_its_senders() -> None:
    with running(busy_timeout_ms=20) as writer, locked_database():
        sender = Sender(writer)
        sender.send(flow("a"), "given up")
        assert writer.close(0.3) is False
        sender.send(flow("b"), "too late")
    assert sender.committed == []
    assert writer.stats().records_dropped == 0


def test_a_sender_that_fails_costs_no_flow(caplog: pytest.LogCaptureFixture) -> None:
    def failing() -> None:
        raise RuntimeError("the ring is gone")

    with running() as writer:
        writer.record(flow("a"), on_committed=failing)
        writer.record(flow("b"))
        eventually(lambda: Flow.objects.count() == 2)
    assert writer.stats().written == 2
    assert "the ring is gone" in caplog.text


def test_room_is_the_backlogs() -> None:
    with running(max_bytes=100_000, batch_window_s=60.0) as writer:
        assert writer.has_room(10**9)
        writer.finished(flow(sides=(side("client", bytes(60_000)),)))
        assert not writer.has_room(60_000)
        assert writer.has_room()


def requests_counted() -> int:
    return sum(UsageDaily.objects.values_list("requests", flat=True))


def test_records_that_come_again_count_once_and_leave_the_flow_ended() -> None:
    """A recorder was killed between the row and the commit: its successor reads both again."""
    with running(batch_window_s=0.0) as writer:
        writer.record(flow("a", sent_model="demo"))
        eventually(lambda: writer.stats().written == 1)
        writer.record(live("a", sent_model="demo"))
        eventually(lambda: writer.stats().queue_depth == 0)
        assert Flow.objects.get().state == "done"
        writer.record(flow("a", sent_model="demo"))
        eventually(lambda: writer.stats().queue_depth == 0)
    assert Flow.objects.get().state == "done"
    assert requests_counted() == 1


def test_a_flow_that_was_taken_for_interrupted_counts_once_it_has_ended() -> None:
    with running(batch_window_s=0.0) as writer:
        writer.record(live("a", sent_model="demo"), instance="proxy")
        writer.record(live("b", sent_model="demo"), instance="proxy")
        eventually(lambda: Flow.objects.count() == 2)
        assert mark_interrupted_of("proxy") == 2
        writer.record(live("b", sent_model="demo"), instance="proxy")
        eventually(lambda: Flow.objects.get(pk="b").state == "live")
        writer.record(flow("a", sent_model="demo"))
        writer.record(flow("b", sent_model="demo"))
    assert set(Flow.objects.values_list("state", flat=True)) == {"done"}
    assert requests_counted() == 2
