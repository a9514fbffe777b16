"""A collector that is down, slow or wrong costs a bounded memory and one line in the log."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import grpc
import pytest

from flows.record import Side
from flows.telemetry.finished_flow import FinishedFlow
from flows.telemetry.flow_attributes import SpanConf
from flows.telemetry.flow_spans import SpanMaker
from flows.telemetry.otlp_sender import SendError
from flows.telemetry.outbox import Outbox
from flows.telemetry.tracing import BATCH_BYTES, BATCH_FLOWS, Tracing, TracingConf, tracing_of
from tests.fakes.otlp_collector import GrpcCollector
from tests.flows.records import eventually
from tests.flows.telemetry.model_calls import anthropic
from tests.flows.telemetry.traced import written
from tests.patience import PATIENCE_S


class ScriptedSender:
    """A connection that does what it is told."""

    def __init__(self) -> None:
        self.failure: SendError | None = None
        self.answers = threading.Event()
        self.answers.set()
        self.asked = threading.Semaphore(0)
        self.taken: list[bytes] = []
        self.timeouts_s: list[float] = []

    def send(self, request: bytes, timeout_s: float) -> None:
        self.timeouts_s.append(timeout_s)
        self.asked.release()
        if not self.answers.wait(timeout_s):
            raise SendError("DEADLINE_EXCEEDED", is_final=False)
        if self.failure is not None:
            raise self.failure
        self.taken.append(request)

    def close(self) -> None:
        if not self.answers.is_set():
            self.failure = SendError("CANCELLED", is_final=False)
        self.answers.set()


@contextmanager
def outbox(sender: Any, **options: Any) -> Iterator[Outbox]:
    values: dict[str, Any] = {
        "shown": "here",
        "timeout_s": 30.0,
        "window_s": 0.0,
        "first_retry_s": 0.0,
    }
    box = Outbox(sender, b"".join, **(values | options))
    box.start()
    try:
        yield box
    finally:
        box.close(5)


def notices(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "flows.telemetry" in record.name]


def test_one_notice_however_often_it_fails_and_one_when_it_works_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sender = ScriptedSender()
    sender.failure = SendError("UNAVAILABLE", is_final=False)
    with caplog.at_level(logging.INFO), outbox(sender) as box:
        box.put(b"a", 1)
        for _ in range(3):
            assert sender.asked.acquire(timeout=PATIENCE_S)
        assert len(notices(caplog)) == 1
        assert "does not reach here (UNAVAILABLE)" in notices(caplog)[0]
        sender.failure = None
        eventually(lambda: box.stats().sent == 1)
    assert notices(caplog)[1:] == ["Telemetry reaches here again"]
    assert sender.taken == [b"a"]


def test_a_frozen_collector_costs_a_bounded_memory(caplog: pytest.LogCaptureFixture) -> None:
    sender = ScriptedSender()
    sender.answers.clear()
    with outbox(sender, max_spans=10, max_bytes=1000) as box:
        box.put(b"first", 1)
        assert sender.asked.acquire(timeout=PATIENCE_S)
        for number in range(100):
            box.put(b"%d" % number, 2)
        stats = box.stats()
        assert (stats.waiting, stats.dropped) == (11, 190)
        box.put(b"x" * 996, 1)
        assert box.stats().waiting == 6
        sender.answers.set()
        eventually(lambda: not box.stats().waiting)
    # The newest ones are kept.
    assert b"x" * 996 in b"".join(sender.taken)
    assert b"".join(sender.taken).startswith(b"first")


def test_what_is_refused_for_good_is_not_sent_again(caplog: pytest.LogCaptureFixture) -> None:
    sender = ScriptedSender()
    sender.failure = SendError("UNAUTHENTICATED", is_final=True)
    with outbox(sender) as box:
        box.put(b"a", 3)
        eventually(lambda: box.stats().dropped == 3)
        box.put(b"b", 1)
        eventually(lambda: box.stats().dropped == 4)
        assert box.stats().problem == "UNAUTHENTICATED"
    assert len(notices(caplog)) == 1


def test_the_stop_is_bounded_and_counts_what_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    sender = ScriptedSender()
    sender.answers.clear()
    box = Outbox(sender, b"".join, shown="here", timeout_s=30.0, window_s=30.0)
    box.start()
    box.put(b"a", 5)
    assert box.close(0.3) is False
    assert all(timeout_s <= 0.3 for timeout_s in sender.timeouts_s)
    assert notices(caplog)[-1] == "5 spans were not sent to here before the stop"
    box.put(b"b", 1)
    assert box.stats().dropped == 6


def test_a_batch_is_bounded() -> None:
    sender = ScriptedSender()
    sender.answers.clear()
    with outbox(sender) as box:
        box.put(b"0", 1)
        assert sender.asked.acquire(timeout=PATIENCE_S)
        for _ in range(5):
            box.put(b"x" * 1024 * 1024, 1)
        sender.answers.set()
        eventually(lambda: box.stats().sent == 6)
    assert max(map(len, sender.taken)) <= 2 * 1024 * 1024 + 1


@pytest.mark.parametrize(
    ("refusal", "is_final"),
    [(grpc.StatusCode.UNAVAILABLE, False), (grpc.StatusCode.UNIMPLEMENTED, True)],
)
def test_a_collector_that_refuses(
    refusal: Any, is_final: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with GrpcCollector() as collector:
        collector.refusal = refusal
        tracing = tracing_of(TracingConf(enabled=True, endpoint=collector.url), {})
        assert tracing is not None
        tracing.start()
        written(anthropic(), tracing.finished)
        tracing.close(1.0 if not is_final else 20.0)
        assert tracing.stats().problem == refusal.name
        assert not collector.spans
    assert len([text for text in notices(caplog) if "does not reach" in text]) == 1


def test_headers_and_a_collector_that_comes_late(caplog: pytest.LogCaptureFixture) -> None:
    """The port is closed at first; the channel connects anew."""
    with GrpcCollector() as reserved:
        port = reserved.port
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_EXPORTER_OTLP_HEADERS": "API-Key=a%20b,tenant=1",
    }
    tracing = tracing_of(TracingConf(enabled=True), environ)
    assert tracing is not None
    tracing.start()
    written(anthropic(), tracing.finished)
    eventually(lambda: tracing.stats().problem == "UNAVAILABLE")
    with GrpcCollector(address=f"127.0.0.1:{port}") as collector:
        tracing.close(PATIENCE_S)
        assert len(collector.spans) == 4
        assert collector.metadata[0]["api-key"] == "a b"
        assert collector.metadata[0]["tenant"] == "1"


def test_a_defect_in_a_span_is_one_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> list[Any]:
        raise ValueError("a defect")

    monkeypatch.setattr(SpanMaker, "spans_of", broken)
    tracing = tracing_of(TracingConf(enabled=True), {})
    assert tracing is not None
    for _ in range(3):
        assert written(anthropic(), tracing.finished).id
    tracing.close(0.1)
    assert len([text for text in notices(caplog) if "No span could be made" in text]) == 1


def test_spans_are_made_of_many_flows_at_once() -> None:
    # Its thread never runs.
    box = Outbox(ScriptedSender(), b"".join, shown="here", timeout_s=1.0)
    tracing = Tracing(box, SpanConf())
    is_written = False
    known: set[str] = set()

    def finished(flow: FinishedFlow) -> None:
        def readable(side: Side) -> bytes:
            # The writer's own caches are not for another thread.
            assert not is_written or side in known
            known.add(side)
            return flow.readable(side)

        tracing.finished(flow._replace(readable=readable))

    for _ in range(BATCH_FLOWS - 1):
        written(anthropic(), finished)
    assert box.stats().waiting == 0
    written(anthropic(), finished)
    assert box.stats().waiting == 4 * BATCH_FLOWS
    written(anthropic(), finished)
    is_written = True
    tracing.close(0.1)
    assert box.stats().dropped == 4 * (BATCH_FLOWS + 1)


def test_large_bodies_do_not_wait() -> None:
    box = Outbox(ScriptedSender(), b"".join, shown="here", timeout_s=1.0)
    tracing = Tracing(box, SpanConf())
    large = anthropic()
    body = b"{}" + b" " * (BATCH_BYTES // 2)
    written(
        replace(large, sides=tuple(replace(s, body=body) for s in large.sides)), tracing.finished
    )
    assert box.stats().waiting == 4


def test_a_flow_alone_is_sent_when_it_is_due() -> None:
    sender = ScriptedSender()
    with outbox(sender) as box:
        tracing = Tracing(box, SpanConf())
        for number in range(1, 4):
            written(anthropic(), tracing.finished)
            eventually(lambda number=number: box.stats().sent == 4 * number)
