"""The backlog's bounds: bodies go first, then records, and everything is counted."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from threading import Thread

import pytest

from flows.record import FlowRecord
from flows.writer.backlog import BATCH_BYTES, EARLY_BYTES, Backlog, record_bytes
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


def test_large_bodies_are_taken_a_few_at_a_time() -> None:
    """The links of a batch are made while its bodies are in memory."""
    backlog = Backlog(max_records=100, max_bytes=100 * BATCH_BYTES)
    for number in range(20):
        backlog.put(flow(str(number), sides=(side("client", bytes(BATCH_BYTES // 3 + number)),)))
    taken: list[str] = []
    while batch := backlog.take(50):
        assert sum(item.size_bytes for item in batch[:-1]) < BATCH_BYTES
        taken += [item.record.id for item in batch]
        backlog.count_taken(0, 0)
    assert taken == [str(number) for number in range(20)]
    assert backlog.held().size_bytes == 0


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


HOUR_S = 3600.0


def test_a_state_that_may_wait_is_replaced_by_the_end() -> None:
    settled: list[str] = []
    backlog = Backlog(max_records=9, max_bytes=10**6)
    backlog.put(live("a"), wait_s=HOUR_S, on_committed=lambda: settled.append("live"))
    assert backlog.take(9) == []
    assert backlog.held() == (0, 0, None), "nothing is behind because of it"
    backlog.put(flow("a"))
    assert [item.record.state for item in backlog.take(9)] == ["done"]
    for on_committed in backlog.take_settled():
        on_committed()
    assert settled == ["live"]


def test_a_state_is_handed_out_once_its_time_has_come() -> None:
    backlog = Backlog(max_records=9, max_bytes=10**6)
    backlog.put(live("later"), wait_s=HOUR_S)
    backlog.put(live("soon"), wait_s=0.02)
    # A newer state does not begin to wait anew.
    backlog.put(replace(live("soon"), error="newer"), wait_s=HOUR_S)
    backlog.wait(idle_s=HOUR_S, window_s=0.0, batch=1)
    assert [(item.record.id, item.record.error) for item in backlog.take(9)] == [("soon", "newer")]


def test_a_writer_asleep_wakes_up_when_a_state_is_due() -> None:
    backlog = Backlog(max_records=9, max_bytes=10**6)
    waiting = Thread(target=lambda: backlog.wait(idle_s=HOUR_S, window_s=0.0, batch=1))
    waiting.start()
    backlog.put(live("later"), wait_s=HOUR_S)
    backlog.put(live("soon"), wait_s=0.02)
    waiting.join(PATIENCE_S)
    is_waiting = waiting.is_alive()
    backlog.close()
    assert not is_waiting


@pytest.mark.parametrize("way", ["hurry", "close"])
def test_no_state_waits_once_there_is_a_reason_to_hurry(way: str) -> None:
    backlog = Backlog(max_records=9, max_bytes=10**6)
    backlog.put(live("a"), wait_s=HOUR_S)
    getattr(backlog, way)()
    assert [item.record.id for item in backlog.take(9)] == ["a"]
    assert backlog.hurry() == []


def test_who_comes_for_what_waits_waits_for_no_full_batch() -> None:
    backlog = Backlog(max_records=9, max_bytes=10**6)
    backlog.put(live("a"), wait_s=HOUR_S)
    waiting = Thread(target=lambda: backlog.wait(idle_s=HOUR_S, window_s=HOUR_S, batch=9))
    waiting.start()
    assert [record.id for record in backlog.hurry(at_once=True)] == ["a"]
    waiting.join(PATIENCE_S)
    is_waiting = waiting.is_alive()
    assert [item.record.id for item in backlog.take(9)] == ["a"]

    # The next one is in no hurry.
    backlog.put(live("b"), wait_s=HOUR_S)
    assert [record.id for record in backlog.hurry()] == ["b"]
    waiting = Thread(target=lambda: backlog.wait(idle_s=HOUR_S, window_s=HOUR_S, batch=2))
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    backlog.close()
    waiting.join(PATIENCE_S)
    assert not is_waiting


def test_states_that_wait_take_little_memory() -> None:
    backlog = Backlog(max_records=9, max_bytes=10**9)

    def put(name: str, size_bytes: int) -> None:
        record = replace(live(name), sides=(side("client", bytes(size_bytes)),))
        backlog.put(record, wait_s=HOUR_S)

    put("a", EARLY_BYTES // 2)
    put("b", EARLY_BYTES // 2)
    assert [item.record.id for item in backlog.take(9)] == ["b"]
    put("a", EARLY_BYTES)
    assert [item.record.id for item in backlog.take(9)] == ["a"], "it grew"


def test_a_state_that_waits_makes_room_for_an_end() -> None:
    backlog = Backlog(max_records=1, max_bytes=10**6)
    backlog.put(live("a"), wait_s=HOUR_S)
    assert not backlog.has_room(0)
    backlog.put(flow("b"))
    assert [item.record.id for item in backlog.take(9)] == ["b"]
    assert backlog.hurry() == []


@pytest.mark.parametrize("seed", range(20))
def test_the_newest_state_comes_last_and_every_other_one_is_settled(seed: int) -> None:
    chance = random.Random(seed)
    backlog = Backlog(max_records=1000, max_bytes=10**9)
    newest: dict[str, str] = {}
    handed_out: list[str] = []
    stored: dict[str, str] = {}

    def take() -> None:
        for item in backlog.take(chance.randrange(1, 5)):
            handed_out.append(item.record.error)
            stored[item.record.id] = item.record.error

    settled: list[str] = []
    for number in range(300):
        name = f"flow-{chance.randrange(12)}"
        if chance.random() < 0.3:
            take()
        if chance.random() < 0.05:
            backlog.hurry()
        mark = f"{number}"
        make = live if chance.random() < 0.7 else flow
        wait_s = chance.choice([0.0, 0.0, 0.001, HOUR_S]) if make is live else 0.0
        backlog.put(
            replace(make(name), error=mark),
            wait_s=wait_s,
            on_committed=partial(settled.append, mark),
        )
        newest[name] = mark
        if chance.random() < 0.1:
            backlog.wait(idle_s=0.0, window_s=0.0, batch=1)
    backlog.close()
    while backlog.held().waiting_since is not None:
        take()
    assert stored == newest
    for on_committed in backlog.take_settled():
        on_committed()
    assert sorted([*handed_out, *settled], key=int) == [str(number) for number in range(300)]
