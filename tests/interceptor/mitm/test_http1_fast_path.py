"""A streamed answer takes the fast path, and its bytes, its end and what comes after it are as on
the other one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest

from flows.record import FlowDelta, FlowRecord
from interceptor.config.snapshot.schema import Snapshot
from interceptor.mitm.http1.http1_fast_path import StreamFastPath
from interceptor.operate.stock import stock_from
from tests.e2e import raw
from tests.fakes.raw_upstream import RawUpstream, Step
from tests.fakes.upstream import Script, Upstream
from tests.interceptor.mitm.misbehaving import EVENT, STREAM_HEAD, chunk
from tests.interceptor.proxied import Running, provider, snapshot
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.skipif(
    "speed" in stock_from(os.environ), reason="CCPROXY_STOCK=speed leaves the fast path out"
)
PATH = "/v1/messages"
BODY = b'{"model":"m","stream":true}'
EVENTS = [
    b'event: a\ndata: {"n":%d,"pad":"%s"}\n\n' % (number, b"x" * (number * 37))
    for number in range(60)
]
WHOLE = b"".join(EVENTS)


@pytest.fixture(scope="module")
def configuration(upstream: Upstream, raw_upstream: RawUpstream) -> Snapshot:
    return snapshot(
        provider("up", upstream.port),
        provider("breaking", raw_upstream.port),
        provider("chat", raw_upstream.port, type="openai", path="/v1/chat/completions"),
    )


@pytest.fixture
def taken_fast(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The pieces that took the fast path."""
    taken: list[bytes] = []
    frame = StreamFastPath.framed

    def note(self: StreamFastPath, data: bytes) -> bytes:
        taken.append(data)
        return frame(self, data)

    monkeypatch.setattr(StreamFastPath, "framed", note)
    return taken


@pytest.fixture
def flowing(proxy: Running, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when the first piece of a stream has passed: what comes after it finds the fast path
    open.
    """
    event, delta = threading.Event(), proxy.sink.delta

    def note(piece: FlowDelta) -> None:
        delta(piece)
        event.set()

    monkeypatch.setattr(proxy.sink, "delta", note)
    return event


def record_of(proxy: Running, answer: raw.Answer) -> FlowRecord:
    return proxy.sink.of(httpx.Response(answer.status, headers=answer.headers))


def bodies(record: FlowRecord) -> tuple[bytes | None, bytes | None]:
    sides = {side.side: side.body for side in record.sides}
    return sides["upstream"], sides["delivered"]


def framed(framing: str, flowing: threading.Event | None = None) -> Script:
    """The events; the last one waits until the first has passed."""
    kind = (("content-type", "text/event-stream"),)
    return Script(headers=kind, pieces=tuple(EVENTS), framing=framing, gate=flowing)


def begun(flowing: threading.Event, *ends: Step) -> Callable[[], Iterator[Step]]:
    """A stream of two events, and how it ends."""

    def steps() -> Iterator[Step]:
        yield STREAM_HEAD + chunk(EVENT)
        flowing.wait(PATIENCE_S)
        yield chunk(EVENT)
        yield from ends

    return steps


def request(method: str = "POST", name: str = "up", path: str = PATH, body: bytes = BODY) -> bytes:
    headers = [
        ("Host", "localhost"),
        ("x-api-key", f"sk-ccproxy-{name}"),
        ("Content-Length", str(len(body))),
    ]
    return raw.request(method, path, headers, body)


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_a_stream_takes_the_short_way_and_stays_as_it_is(
    framing: str,
    proxy: Running,
    upstream: Upstream,
    taken_fast: list[bytes],
    flowing: threading.Event,
) -> None:
    upstream.scripts[PATH] = framed(framing, flowing)
    answer = raw.exchange(proxy.port, request())
    assert (answer.status, answer.complete, answer.body) == (200, True, WHOLE)
    assert (answer.header("content-length") is None) == (framing != "length")
    record = record_of(proxy, answer)
    assert bodies(record) == (WHOLE, WHOLE)
    assert (record.state, record.event_count) == ("done", len(EVENTS))
    told = b"".join(delta.data for delta in proxy.sink.deltas if delta.flow_id == answer.flow_id)
    assert told == WHOLE
    taken = b"".join(taken_fast)
    assert WHOLE.endswith(taken) and taken.endswith(EVENTS[-1]), (
        "once a piece took it, all that follow do"
    )


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_head_and_events_in_one_segment(framing: str, proxy: Running, upstream: Upstream) -> None:
    """Pieces that came before the head's hooks have ended go the layers' path, and none of them is
    overtaken.
    """
    upstream.scripts[PATH] = framed(framing)
    answer = raw.exchange(proxy.port, request())
    assert (answer.status, answer.complete, answer.body) == (200, True, WHOLE)
    assert bodies(record_of(proxy, answer)) == (WHOLE, WHOLE)


def test_the_connections_carry_another_request_after_a_stream(
    proxy: Running, upstream: Upstream, taken_fast: list[bytes], flowing: threading.Event
) -> None:
    upstream.scripts[PATH] = framed("chunked", flowing)
    upstream.scripts["/v1/messages/plain"] = Script(pieces=(b'{"plain": true}',))
    with raw.connection(proxy.port) as client:
        for path in (PATH, "/v1/messages/plain", PATH, "/v1/messages/plain"):
            taken_fast.clear()
            flowing.clear()
            client.sendall(request(path=path))
            answer = raw.read_answer(client)
            assert answer.complete and answer.body == (
                WHOLE if path == PATH else b'{"plain": true}'
            )
            assert bodies(record_of(proxy, answer)) == (answer.body, answer.body)
            assert taken_fast or path != PATH
    assert len({seen.connection for seen in upstream.requests[-4:]}) == 1


@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_an_answer_to_head_has_no_body(
    framing: str, proxy: Running, upstream: Upstream, taken_fast: list[bytes]
) -> None:
    upstream.scripts[PATH] = framed(framing)
    with raw.connection(proxy.port) as client:
        client.sendall(request("HEAD", body=b""))
        answer = raw.read_answer(client, head_only=True)
        assert answer.status == 200 and answer.header("content-type") == "text/event-stream"
        if framing == "length":
            assert answer.header("content-length") == str(len(WHOLE))
        assert taken_fast == []
        client.sendall(request())
        assert raw.read_answer(client).body == WHOLE, "the first answer had nothing behind its head"


@pytest.mark.parametrize(
    ("name", "path", "mark"),
    [
        ("breaking", PATH, b"event: error\ndata: {"),
        ("chat", "/v1/chat/completions", b'data: {"error"'),
    ],
)
@pytest.mark.parametrize(
    "cut", [(0.2, "reset"), (), (b"zz\r\n",)], ids=["reset", "close", "bad chunk"]
)
def test_a_stream_that_breaks_has_last_words(
    cut: tuple[Step, ...],
    name: str,
    path: str,
    mark: bytes,
    proxy: Running,
    raw_upstream: RawUpstream,
    taken_fast: list[bytes],
    flowing: threading.Event,
) -> None:
    raw_upstream.steps = begun(flowing, *cut)
    answer = raw.exchange(proxy.port, request(name=name, path=path))
    assert (answer.status, answer.complete) == (200, True)
    assert taken_fast[-1:] == [EVENT]
    assert answer.body.startswith(EVENT + EVENT + mark), answer.body
    record = record_of(proxy, answer)
    assert record.state == "error" and name in record.error
    assert bodies(record) == (EVENT + EVENT, answer.body)


def test_a_client_that_leaves_ends_the_stream(
    proxy: Running, raw_upstream: RawUpstream, taken_fast: list[bytes], flowing: threading.Event
) -> None:
    raw_upstream.steps = begun(flowing, "hang")
    count = len(proxy.sink.records)
    with raw.connection(proxy.port) as client:
        client.sendall(request(name="breaking"))
        got = b""
        while got.count(EVENT) < 2:
            got += client.recv(65536)
    record = proxy.sink.wait(count + 1)
    assert record.state == "error" and bodies(record)[0] == EVENT + EVENT
    assert taken_fast[-1:] == [EVENT]
