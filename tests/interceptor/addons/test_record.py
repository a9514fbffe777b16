"""Running flows are announced when they last, and streams are handed over in turn, however many
there are.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from mitmproxy.test import tflow

from flows.record import FlowRecord
from interceptor.addons import record as record_module
from interceptor.addons.record import PROGRESS_AT_ONCE, RecordAddon
from interceptor.config.snapshot.schema import Snapshot
from interceptor.exchange.flow_state import METADATA_KEY, FlowState
from interceptor.exchange.tee import StreamTee
from tests.fakes.raw_upstream import GOOD, RawUpstream
from tests.interceptor.mitm.misbehaving import EVENT, STREAM_HEAD, chunk
from tests.interceptor.proxied import ListSink, Running, provider, running_proxy, snapshot
from tests.patience import PATIENCE_S

NEVER_S = 600.0


@pytest.fixture
def proxy(raw_upstream: RawUpstream, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A proxy that hands over nothing at regular intervals, so that all there is comes from an
    announcement.
    """
    monkeypatch.setattr(record_module, "PROGRESS_INTERVAL_S", NEVER_S)
    with running_proxy(snapshot(provider("up", raw_upstream.port))) as running:
        yield running


@pytest.fixture
def told(proxy: Running, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, FlowRecord]]:
    """What the sink was told, in order."""
    calls: list[tuple[str, FlowRecord]] = []

    def noting(kind: str, own: Callable[[FlowRecord], None]) -> Callable[[FlowRecord], None]:
        def note(record: FlowRecord) -> None:
            calls.append((kind, record))
            own(record)

        return note

    for kind in ("started", "progress", "finished"):
        monkeypatch.setattr(proxy.sink, kind, noting(kind, getattr(proxy.sink, kind)))
    return calls


def ask(proxy: Running) -> httpx.Response:
    headers = {"x-api-key": "sk-ccproxy-up"}
    return httpx.post(
        f"{proxy.url}/v1/messages", content=b'{"model":"m"}', headers=headers, timeout=PATIENCE_S
    )


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.005)


def test_each_of_many_streams_has_its_turn() -> None:
    sink = ListSink()
    addon = RecordAddon(sink)
    ids = []
    for _ in range(2 * PROGRESS_AT_ONCE + 3):
        flow = tflow.tflow(resp=True)
        state = flow.metadata[METADATA_KEY] = FlowState(snapshot=Snapshot(), flow_id=flow.id)
        state.tee = StreamTee(flow.id, state.ms, sink.delta)
        state.tee(b"data: {}\n\n")
        addon._active[flow.id] = flow, state
        ids.append(flow.id)
    for _ in range(3):
        addon._hand_over_running()
    seen = [record.id for record in sink.live]
    assert len(seen) == 3 * PROGRESS_AT_ONCE
    assert seen[: len(ids)] == ids, "the one handed over longest ago comes first"


def test_a_stream_without_bytes_waits() -> None:
    sink = ListSink()
    addon = RecordAddon(sink)
    flow = tflow.tflow()
    addon._active[flow.id] = flow, FlowState(snapshot=Snapshot(), flow_id=flow.id)
    addon._hand_over_running()
    assert sink.live == []


@pytest.mark.parametrize("stream", [False, True])
def test_a_flow_that_ends_soon_is_handed_over_once(
    stream: bool,
    proxy: Running,
    raw_upstream: RawUpstream,
    told: list[tuple[str, FlowRecord]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(record_module, "ANNOUNCE_AFTER_S", NEVER_S)
    raw_upstream.steps = lambda: [STREAM_HEAD + chunk(EVENT) + b"0\r\n\r\n"] if stream else [GOOD]
    for _ in range(3):
        proxy.sink.of(ask(proxy))
    assert [kind for kind, _ in told] == ["finished"] * 3
    assert len({record.id for _, record in told}) == 3


def test_what_has_ended_is_not_announced(
    proxy: Running,
    raw_upstream: RawUpstream,
    told: list[tuple[str, FlowRecord]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One announcement serves all flows: those that ended before it are no part of it."""
    monkeypatch.setattr(record_module, "ANNOUNCE_AFTER_S", NEVER_S)
    gate = threading.Event()
    held = iter([False, False, True])

    def steps() -> Iterator[bytes]:
        if next(held):
            gate.wait(PATIENCE_S)
        yield GOOD

    async def announce() -> None:
        proxy.proxy._chain.record._announce()

    raw_upstream.steps = steps
    ended = [proxy.sink.of(ask(proxy)).id for _ in range(2)]
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ask, proxy)
        try:
            wait_until(lambda: proxy.proxy.active_flows == 1)
            proxy.on_loop(announce())
        finally:
            gate.set()
        last = proxy.sink.of(running.result(PATIENCE_S)).id
    assert [kind for kind, _ in told] == ["finished", "finished", "started", "finished"]
    assert [record.id for _, record in told] == [*ended, last, last]


def test_a_flow_that_lasts_is_announced_before_and_after_its_answer_begins(
    proxy: Running, raw_upstream: RawUpstream, told: list[tuple[str, FlowRecord]]
) -> None:
    head, end = threading.Event(), threading.Event()

    def steps() -> Iterator[bytes]:
        head.wait(PATIENCE_S)
        yield STREAM_HEAD + chunk(EVENT)
        end.wait(PATIENCE_S)
        yield chunk(EVENT) + b"0\r\n\r\n"

    raw_upstream.steps = steps
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ask, proxy)
        try:
            wait_until(lambda: len(told) == 1)
            head.set()
            wait_until(lambda: len(told) == 2)
        finally:
            head.set()
            end.set()
        answer = running.result(PATIENCE_S)
    record = proxy.sink.of(answer)
    assert [(kind, each.state, each.status_code) for kind, each in told] == [
        ("started", "live", None),
        ("progress", "live", 200),
        ("finished", "done", 200),
    ]
    assert {each.id for _, each in told} == {record.id}
    assert told[1][1].sides[-1].body == EVENT and record.sides[-1].body == EVENT * 2
