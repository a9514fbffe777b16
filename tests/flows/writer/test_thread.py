"""The writer stores flows whatever the database does, and says what it could not store."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import OperationalError, connection

from flows.bodies.store import load_body
from flows.lineage.fresh_flows import FreshFlows
from flows.models import BodyRef, Flow, FlowBody, FlowParts, WebSocketMessage
from flows.queries.selectors import traces_of
from flows.record import FlowDelta, HookStep, WebSocketRecord
from flows.redaction.redactor import Redactor, mark
from flows.threads.background_thread import NICE
from flows.writer import thread as writer_module
from flows.writer.batch import write_batch
from flows.writer.rows.row_builder import RowBuilder
from flows.writer.thread import FlowWriter
from providers.auth.registry import SecretRegistry
from tests.flows.records import EPOCH, eventually, flow, live, side
from tests.parts import all_sides
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.django_db(transaction=True)
needs_a_file_lock = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="writers of SQLite exclude each other"
)
KEY = "sk-ant-oat01-Zq8vT3xLw0Rk5Bn7Yc2Md9Pf4Hs6Jg1Ae"


@contextmanager
def running(**options: Any) -> Iterator[FlowWriter]:
    """A writer at work; it is closed at the end."""
    registry = SecretRegistry()
    registry.add(KEY)
    writer = FlowWriter(redactor=Redactor(registry), **{"batch_window_s": 0.01} | options)
    writer.start()
    try:
        yield writer
    finally:
        writer.close(PATIENCE_S)


@contextmanager
def locked_database() -> Iterator[None]:
    """Another connection holds the write lock."""
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def test_it_works() -> None:
    with running() as writer:
        writer.finished(flow(error="", session_id="s1", is_stream=True, duration_ms=1500.0))
    stored = Flow.objects.get()
    assert (stored.id, stored.state, stored.method, stored.status_code) == (
        "flow-1",
        "done",
        "POST",
        200,
    )
    assert stored.started_at == datetime.fromtimestamp(EPOCH, UTC)
    assert (stored.request_size_bytes, stored.response_size_bytes) == tuple(
        len(flow().sides[number].body or b"") for number in (0, 3)
    )
    assert [row.side for row in all_sides()] == ["client", "forwarded", "upstream", "delivered"]
    assert "384,400" in stored.search_text
    assert "how far is the moon" in stored.search_text
    assert writer.stats().written == 1


def test_equal_bodies_are_stored_once() -> None:
    with running() as writer:
        writer.finished(flow())
        writer.finished(flow("flow-2"))
    assert FlowBody.objects.count() == 2
    assert {load_body(row.body_digest) for row in all_sides("client")} == {flow().sides[0].body}


def test_a_later_record_replaces_the_earlier() -> None:
    with running() as writer:
        writer.started(live())
        eventually(lambda: Flow.objects.filter(state="live").exists())
        partial = side(
            "delivered",
            b"data: the first half of a long answer that goes on and on, and on, and on\n\n",
        )
        writer.progress(replace(live(), sides=(*live().sides, partial)))
        eventually(lambda: len(all_sides()) == 3)
        Flow.objects.update(pinned=True)
        writer.finished(flow())
    stored = Flow.objects.get()
    assert (stored.state, stored.pinned) == ("done", True)
    assert len(all_sides()) == 4
    assert FlowBody.objects.count() == 2, "the partial body is of no use any more"


def test_nothing_waits_for_a_delta() -> None:
    with running() as writer:
        writer.delta(FlowDelta("flow-1", 0, b"x", 1.0))
        assert writer.stats().queue_depth == 0


def test_hooks_and_websocket_messages_are_stored() -> None:
    step = HookStep(
        stage="inbound",
        hook="inject_auth",
        outcome="ran",
        changed=("header:authorization",),
        headers_before=(("x-api-key", "sk-ccproxy-zai"),),
        headers_after=(("authorization", f"Bearer {KEY}"),),
        body_before=b"before " * 20,
        body_after=b"after " * 20,
    )
    still = HookStep(
        stage="inbound", hook="verbose_mode", outcome="skipped", reason="no such header"
    )
    messages = tuple(
        WebSocketRecord(seq, 5.0 * seq, seq % 2 == 0, True, b"m%d" % seq) for seq in range(3)
    )
    with running() as writer:
        writer.progress(live(is_websocket=True, hooks=(step, still), messages=messages[:2]))
        eventually(lambda: WebSocketMessage.objects.count() == 2)
        writer.finished(flow(is_websocket=True, hooks=(step, still), messages=messages))
    assert Flow.objects.get().hooks_changed == ["inject_auth"]
    first, second = traces_of("flow-1")
    assert first.headers_before == [["x-api-key", "sk-ccproxy-zai"]]
    assert first.headers_after == [["authorization", f"Bearer {mark(KEY)}"]]
    assert load_body(first.body_after) == b"after " * 20
    assert (second.outcome, second.reason, second.headers_before) == (
        "skipped",
        "no such header",
        None,
    )
    assert [load_body(row.body_digest) for row in WebSocketMessage.objects.all()] == [
        b"m0",
        b"m1",
        b"m2",
    ]


def test_secrets_reach_no_table() -> None:
    leaky = f"leak {KEY} leak".encode()
    step = HookStep(
        "inbound",
        "h",
        "error",
        reason=KEY,
        url_before=f"/?a={KEY}",
        body_before=leaky,
        body_after=leaky,
    )
    sides = tuple(
        side(
            name,
            leaky,
            (("x-echo", KEY),),
            url=f"https://h/{KEY}?key={KEY}",
            reason=KEY,
            trailers=(("t", KEY),),
        )
        for name in ("client", "forwarded", "upstream", "delivered")
    )
    names = (
        "host",
        "path",
        "client_url",
        "forwarded_url",
        "user_agent",
        "route",
        "requested_model",
        "session_id",
    )
    record = flow(
        sides=sides,
        hooks=(step,),
        messages=(WebSocketRecord(0, 0.0, True, True, leaky),),
        losses=((KEY, KEY),),
        error=f"401 {KEY}",
        **dict.fromkeys(names, f"x{KEY}x"),
    )
    with running() as writer:
        writer.finished(record)
    assert load_body(all_sides()[0].body_digest) == f"leak {mark(KEY)} leak".encode()
    assert [row.body_redacted for row in all_sides()] == [True] * 4
    with connection.cursor() as cursor:
        for table in (Flow, FlowParts, FlowBody, BodyRef, WebSocketMessage):
            cursor.execute(f"SELECT * FROM {table._meta.db_table}")
            assert KEY[13:27] not in repr(cursor.fetchall())


def test_a_secret_that_becomes_known_while_a_flow_runs_is_cut_from_then_on() -> None:
    registry = SecretRegistry()
    builder = RowBuilder(Redactor(registry))
    record = flow(sides=(side("client", f"it was said before: {KEY}".encode()),))
    assert not builder.build(record).sides[0].body_redacted
    registry.add(KEY)
    assert builder.build(record).sides[0].body_redacted


def test_odd_texts_are_stored() -> None:
    headers = (("x-latin", "caf\udce9"), ("x-nul", "a\0b"))
    with running() as writer:
        writer.finished(
            flow(user_agent="a\udcff\ud800b" + "x" * 500, sides=(side("client", b"", headers),))
        )
    assert Flow.objects.get().user_agent.startswith("a\\xff\\ud800bxxx")
    assert len(Flow.objects.get().user_agent) == 255
    assert all_sides()[0].headers == [["x-latin", "caf\\xe9"], ["x-nul", "a\\x00b"]]


def test_chunk_offsets_follow_the_redacted_body() -> None:
    body = b"data: one\n\ndata: " + KEY.encode() + b"\n\ndata: three\n\n"
    third = body.index(b"data: three")
    streamed = side("delivered", body, chunk_times=((0, 1.0), (11, 2.0), (third, 3.0)))
    with running() as writer:
        writer.finished(flow(sides=(streamed,)))
    [row] = all_sides()
    assert row.chunk_times[1] == [11, 2.0]
    assert load_body(row.body_digest)[int(row.chunk_times[2][0]) :] == b"data: three\n\n"


@needs_a_file_lock
def test_a_locked_database_loses_nothing() -> None:
    with running(busy_timeout_ms=20) as writer:
        writer.started(live("early"))
        eventually(lambda: Flow.objects.count() == 1)
        with locked_database():

            def client(number: int) -> None:
                for request in range(40):
                    writer.finished(flow(f"flow-{number}-{request}"))

            threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            writer.finished(flow("early"))
            eventually(lambda: "locked" in writer.stats().last_error)
            stats = writer.stats()
            assert (stats.queue_depth, stats.written) == (321, 1)
            assert stats.lag_s > 0
        eventually(lambda: writer.stats().queue_depth == 0)
        assert (writer.stats().last_error, writer.stats().lag_s) == ("", 0.0)
    assert Flow.objects.filter(state="done").count() == 321
    assert len(all_sides()) == 321 * 4


@needs_a_file_lock
def test_close_gives_up_in_time_when_the_database_stays_locked() -> None:
    with running(busy_timeout_ms=20) as writer, locked_database():
        writer.finished(flow())
        assert writer.close(0.3) is False
    assert Flow.objects.count() == 0


def test_close_writes_what_waits_and_takes_nothing_more() -> None:
    with running(batch_window_s=60.0) as writer:
        for number in range(250):
            writer.finished(flow(f"flow-{number}"))
        assert writer.close(PATIENCE_S) is True
        writer.finished(flow("too-late"))
    assert Flow.objects.count() == 250
    assert writer.stats().records_dropped == 1


def test_a_flow_that_cannot_be_stored_costs_only_itself() -> None:
    poison = flow("poison", rule_id=2**70)
    unbuildable = flow("unbuildable", started_at=float("nan"))
    with running(batch_window_s=0.3) as writer:
        for record in (flow("one"), poison, flow("two"), unbuildable, flow("three")):
            writer.finished(record)
        eventually(lambda: writer.stats().records_failed == 2)
        writer.finished(flow("four"))
    assert set(Flow.objects.values_list("id", flat=True)) == {"one", "two", "three", "four"}
    assert len(all_sides()) == 16


def test_the_thread_survives_a_database_that_breaks_in_an_unknown_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []

    def breaking(*args: Any) -> None:
        calls.append(1)
        if len(calls) < 3:
            raise OperationalError("the disk is full")
        write_batch(*args)

    monkeypatch.setattr(writer_module, "write_batch", breaking)
    with running() as writer:
        writer.finished(flow())
        eventually(lambda: writer.stats().written == 1)
    assert len(calls) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="a priority belongs to the whole process")
def test_a_writer_that_falls_behind_takes_a_core_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nice: list[int] = []
    threads: list[int] = []
    held = threading.Event()

    def write(batch: Any, additions: Any) -> None:
        threads.append(threading.get_native_id())
        nice.append(os.getpriority(os.PRIO_PROCESS, threads[-1]))
        held.wait(PATIENCE_S)
        write_batch(batch, additions)

    usual = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    polite = max(usual, NICE)
    fresh = FreshFlows()
    monkeypatch.setattr(writer_module, "write_batch", write)
    with running(fresh=fresh, batch_rows=2, max_records=50) as writer:
        for number in range(20):
            writer.record(flow(f"f{number}"))
        eventually(lambda: bool(nice))
        writer.keep_up()
        held.set()
        eventually(lambda: Flow.objects.count() == 20)
        eventually(lambda: os.getpriority(os.PRIO_PROCESS, threads[-1]) == polite)
        writer.keep_up()
        writer.record(flow("later"))
        eventually(lambda: Flow.objects.count() == 21)
    assert nice[0] == polite
    assert set(nice[1:-1]) == {usual}
    assert nice[-1] == polite
