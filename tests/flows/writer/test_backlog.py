"""The backlog's bounds: bodies go first, then records, and everything is counted."""

from __future__ import annotations

from threading import Thread

from flows.record import FlowRecord
from flows.writer.backlog import BATCH_BYTES, Backlog, record_bytes
from tests.flows.records import flow, live, side
from tests.patience import PATIENCE_S


def test_a_newer_record_takes_the_slot_of_the_older() -> None:
    backlog = Backlog(max_records=2, max_bytes=10**6)
    backlog.put(live("a"))
    backlog.put(flow("b"))
    backlog.put(flow("a"))
    assert [(item.record.id, item.record.state) for item in backlog.take(9)] == [
        ("a", "done"),
        ("b", "done"),
    ]
    assert (backlog.records_dropped, backlog.bodies_dropped) == (0, 0)


def test_a_shared_body_counts_once() -> None:
    body = bytes(10_000)
    one = record_bytes(flow(sides=(side("client", body),)))
    assert record_bytes(flow(sides=(side("client", body), side("forwarded", body)))) == one


def test_bodies_are_dropped_when_the_bytes_are_used_up() -> None:
    large = (side("client", bytes(60_000)),)
    backlog = Backlog(max_records=10, max_bytes=100_000)
    backlog.put(flow("a", sides=large))
    backlog.put(flow("b", sides=large))
    first, second = backlog.take(9)
    assert (first.bodies_dropped, second.bodies_dropped) == (False, True)
    assert second.record.sides[0].body is None
    assert second.record.sides[0].body_size_bytes == 60_000
    assert (backlog.bodies_dropped, backlog.records_dropped) == (1, 0)


def test_records_are_dropped_when_there_is_no_slot() -> None:
    backlog = Backlog(max_records=2, max_bytes=10**6)
    for name in "abc":
        backlog.put(flow(name))
    assert [item.record.id for item in backlog.take(9)] == ["a", "b"]
    assert backlog.records_dropped == 1


def test_running_flows_make_room_because_their_end_is_still_to_come() -> None:
    backlog = Backlog(max_records=2, max_bytes=10**6)
    backlog.put(live("a"))
    backlog.put(flow("b"))
    backlog.put(flow("c"))
    backlog.put(live("d"))
    assert [item.record.id for item in backlog.take(9)] == ["b", "c"]
    assert backlog.records_dropped == 0


def test_a_running_flow_takes_no_slot_from_another() -> None:
    backlog = Backlog(max_records=1, max_bytes=10**6)
    backlog.put(live("a"))
    backlog.put(live("b"))
    assert [item.record.id for item in backlog.take(9)] == ["a"]
    assert backlog.records_dropped == 0


def test_what_was_taken_counts_until_it_is_written() -> None:
    backlog = Backlog(max_records=2, max_bytes=10**6)
    backlog.put(flow("a"))
    backlog.put(flow("b"))
    backlog.take(9)
    assert backlog.held().records == 2
    backlog.put(flow("c"))
    assert backlog.records_dropped == 1
    backlog.count_taken(0, 0)
    backlog.put(flow("d"))
    assert backlog.held().records == 1


def test_a_closed_backlog_takes_nothing() -> None:
    backlog = Backlog(max_records=2, max_bytes=10**6)
    backlog.close()
    backlog.put(flow("a"))
    assert backlog.take(9) == []
    assert backlog.records_dropped == 1


def test_a_replaced_record_and_a_dropped_one_are_settled() -> None:
    settled: list[str] = []
    backlog = Backlog(max_records=2, max_bytes=10**6)

    def put(record: FlowRecord, name: str) -> None:
        backlog.put(record, on_committed=lambda: settled.append(name))
        for on_committed in backlog.take_settled():
            on_committed()

    put(live("a"), "live a")
    put(live("b"), "live b")
    assert settled == []
    put(flow("a"), "a")
    assert settled == ["live a"], "a newer record replaced it"
    put(flow("c"), "c")
    assert settled == ["live a", "live b"], "it made room"
    put(flow("d"), "d")
    assert settled == ["live a", "live b", "d"], "there was no room"


def test_a_record_after_the_end_stays_its_senders() -> None:
    backlog = Backlog(max_records=2, max_bytes=10**6)
    backlog.close()
    backlog.put(flow("a"), on_committed=lambda: None)
    assert (backlog.take_settled(), backlog.records_dropped) == ([], 0)


def test_room_is_said_before_anything_is_dropped() -> None:
    backlog = Backlog(max_records=2, max_bytes=100_000)
    assert backlog.has_room(10**9), "it will never have more"
    backlog.put(flow("a", sides=(side("client", bytes(60_000)),)))
    assert backlog.has_room(30_000)
    assert not backlog.has_room(36_000)
    backlog.take(9)
    assert not backlog.has_room(36_000), "what was taken counts"
    backlog.count_taken(1, 5000)
    assert backlog.has_room(36_000)
    backlog.put(flow("b"))
    assert not backlog.has_room(0), "no slot"


def test_large_bodies_are_a_batch_however_few() -> None:
    backlog = Backlog(max_records=100, max_bytes=10**9)
    waiting = Thread(target=lambda: backlog.wait(idle_s=3600.0, window_s=3600.0, batch=100))
    waiting.start()
    body = bytes(BATCH_BYTES)
    backlog.put(flow("a", sides=(side("client", body),)))
    waiting.join(PATIENCE_S)
    is_waiting = waiting.is_alive()
    backlog.close()
    assert not is_waiting
