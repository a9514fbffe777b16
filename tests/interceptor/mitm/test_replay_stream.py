"""Responses that are held and requests that are sent again, between real sockets.

`Sender` is the smallest addon that uses the seam; each test tells it what to hold and what to do.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, StreamEnded
from mitmproxy.http import HTTPFlow, Response
from mitmproxy.proxy.layers.http._events import ResponseHeaders
from mitmproxy.test import tflow

from flows.record import FlowRecord
from interceptor.mitm import attempts
from interceptor.mitm.attempts import (
    Hold,
    SendAgain,
    Target,
    attempt_records,
    attempts_of,
    hold,
    let_pass,
    send_again,
)
from tests.fakes.certificates import make_authority
from tests.fakes.http2 import Http2Upstream
from tests.fakes.upstream import Script, Seen, Upstream, sse
from tests.interceptor.proxied import Running, provider, running_proxy, snapshot

PATH = "/v1/messages"
BUSY = Script(
    503, headers=(("retry-after", "1"),), pieces=(b'{"busy":', b"true}"), framing="chunked"
)
ASK = {"model": "demo", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}
TIMEOUT_S = 20.0


def is_busy(response: Response) -> bool:
    return response.status_code == 503 and "retry-after" in response.headers


class Sender:
    """Holds what its hold wants, and sends again what its function decides."""

    def __init__(self) -> None:
        self.hold = Hold("test", is_busy, max_times=3)
        self.decide: Callable[[HTTPFlow], SendAgain | None] = lambda _: None
        self.held_bodies: list[tuple[int, bytes]] = []
        self.accepted: list[bool] = []
        self.seen: list[tuple[str, int]] = []
        self.is_held = threading.Event()

    def request(self, flow: HTTPFlow) -> None:
        hold(flow, self.hold)

    async def held(self, flow: HTTPFlow) -> None:
        found = attempts_of(flow)
        assert found is not None and found.held is not None
        assert found.held.response is not None
        assert flow.response is None, "the other addons must not see it"
        if "test" not in found.held.by:
            return
        self.held_bodies.append((found.held.response.status_code, found.held.body))
        decision = self.decide(flow)
        if decision is not None:
            self.accepted.append(send_again(flow, decision))
        self.is_held.set()

    def responseheaders(self, flow: HTTPFlow) -> None:
        assert flow.response is not None
        self.seen.append(("responseheaders", flow.response.status_code))

    def response(self, flow: HTTPFlow) -> None:
        assert flow.response is not None
        self.seen.append(("response", flow.response.status_code))


@pytest.fixture(scope="module")
def other() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture
def proxy(upstream: Upstream, other: Upstream) -> Iterator[Running]:
    """A proxy for each test: mitmproxy knows one master of a process, the newest."""
    for server in (upstream, other):
        server.requests.clear()
        server.scripts.clear()
    with running_proxy(snapshot(provider("up", upstream.port))) as running:
        yield running


@pytest.fixture
def sender(proxy: Running) -> Sender:
    return added(proxy)


def added(proxy: Running) -> Sender:
    """A sender in a proxy's chain."""
    made = Sender()
    master: Any = proxy.proxy._master

    async def add() -> None:
        master.addons.add(made)

    proxy.on_loop(add())
    return made


def busy_times(count: int, then: Script) -> Callable[[Seen], Script]:
    """A provider that is busy for some requests."""
    left = [count]

    def answer(_: Seen) -> Script:
        left[0] -= 1
        return BUSY if left[0] >= 0 else then

    return answer


def post(proxy: Running, name: str = "up") -> httpx.Response:
    headers = {"x-api-key": f"sk-ccproxy-{name}"}
    return httpx.post(f"{proxy.url}{PATH}", json=ASK, headers=headers, timeout=TIMEOUT_S)


def record_of(proxy: Running, answer: httpx.Response) -> FlowRecord:
    return proxy.sink.of(answer)


def again(flow: HTTPFlow, **more: Any) -> SendAgain:
    return SendAgain(by="test", reason="503: busy", **more)


# Pass


def test_a_response_that_is_not_wanted_is_not_held(
    proxy: Running, sender: Sender, upstream: Upstream
) -> None:
    upstream.scripts[PATH] = Script(503, pieces=(b"no retry-after",))
    assert post(proxy).content == b"no retry-after"
    assert sender.held_bodies == []


def test_a_held_response_passes_as_if_it_had_just_come(
    proxy: Running, sender: Sender, upstream: Upstream
) -> None:
    upstream.scripts[PATH] = BUSY
    answer = post(proxy)
    assert (answer.status_code, answer.content) == (503, b'{"busy":true}')
    assert sender.held_bodies == [(503, b'{"busy":true}')]
    assert sender.seen == [("responseheaders", 503), ("response", 503)]
    assert len(upstream.requests) == 1
    record = record_of(proxy, answer)
    assert (record.status_code, record.attempts) == (503, ())


def test_a_body_over_the_limit_passes_without_the_event(
    proxy: Running, sender: Sender, upstream: Upstream
) -> None:
    body = b"x" * 5000
    sender.hold = Hold("test", is_busy, max_held_bytes=4999)
    upstream.scripts[PATH] = Script(503, headers=BUSY.headers, pieces=(body[:2000], body[2000:]))
    answer = post(proxy)
    assert (answer.status_code, answer.content) == (503, body)
    assert (sender.held_bodies, len(upstream.requests)) == ([], 1)
    sender.hold = Hold("test", is_busy, max_held_bytes=5000)
    assert post(proxy).content == body
    assert sender.held_bodies == [(503, body)]


# Send again


def test_it_is_sent_again_until_it_succeeds(
    proxy: Running, sender: Sender, upstream: Upstream
) -> None:
    upstream.scripts[PATH] = busy_times(2, sse(b"data: 1\n\n", b"data: 2\n\n"))
    sender.decide = again
    answer = post(proxy)
    assert (answer.status_code, answer.content) == (200, b"data: 1\n\ndata: 2\n\n")
    assert len(upstream.requests) == 3
    assert len({seen.body for seen in upstream.requests}) == 1
    assert len({seen.connection for seen in upstream.requests}) == 1
    assert sender.seen == [("responseheaders", 200), ("response", 200)]
    made = record_of(proxy, answer).attempts
    assert [(each.number, each.reason, each.status_code, each.host) for each in made] == [
        (1, "", 503, "127.0.0.1"),
        (2, "503: busy", 503, "127.0.0.1"),
        (3, "503: busy", 200, "127.0.0.1"),
    ]
    for earlier, later in pairwise(made):
        assert earlier.duration_ms is not None and later.duration_ms is not None
        assert 0 <= earlier.started_at_ms <= earlier.started_at_ms + earlier.duration_ms
        assert earlier.started_at_ms + earlier.duration_ms <= later.started_at_ms


def test_another_host_gets_another_body_and_headers(
    proxy: Running, sender: Sender, upstream: Upstream, other: Upstream
) -> None:
    upstream.scripts[PATH] = BUSY
    other.scripts[PATH] = Script(pieces=(b'{"from":"other"}',))
    headers = (
        (b"Host", b"localhost"),
        (b"X-Api-Key", b"other-key"),
        (b"Content-Length", b"1"),
        (b"Content-Type", b"application/json"),
    )
    sender.decide = lambda flow: again(
        flow, target=Target("http", "localhost", other.port), body=b'{"n":2}', headers=headers
    )
    answer = post(proxy)
    assert answer.json() == {"from": "other"}
    assert len(upstream.requests) == 1
    assert other.last.body == b'{"n":2}'
    assert other.last.headers == [
        ("Host", "localhost"),
        ("X-Api-Key", "other-key"),
        ("Content-Length", "7"),
        ("Content-Type", "application/json"),
    ]
    made = record_of(proxy, answer).attempts
    assert [(each.status_code, each.host) for each in made] == [
        (503, "127.0.0.1"),
        (200, "localhost"),
    ]
    # The next request of the client goes to its own provider again.
    sender.decide = lambda _: None
    assert post(proxy).status_code == 503
    assert len(upstream.requests) == 2


def test_another_host_needs_headers_of_its_own() -> None:
    with pytest.raises(ValueError, match="headers of its own"):
        SendAgain(by="test", reason="x", target=Target("https", "b.example", 443))


def test_a_target_that_is_not_there_is_an_error_of_the_flow(
    proxy: Running, sender: Sender, upstream: Upstream
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = probe.getsockname()[1]
    upstream.scripts[PATH] = BUSY
    sender.decide = lambda flow: again(
        flow, target=Target("http", "127.0.0.1", free), headers=((b"Host", b"x"),)
    )
    answer = post(proxy)
    assert (answer.status_code, answer.json()["type"]) == (502, "error")
    record = record_of(proxy, answer)
    assert record.state == "error"
    assert [each.status_code for each in record.attempts] == [503, None]


def test_over_http2(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    with Http2Upstream(authority.server_context(["h2", "http/1.1"])) as upstream:
        config = snapshot(provider("h2", upstream.port, scheme="https", host="localhost"))
        trusted = str(authority.ca_file)
        with running_proxy(config, ssl_verify_upstream_trusted_ca=trusted) as proxy:
            added(proxy).decide = lambda flow: again(flow, wait_s=0.01)
            for _ in range(2):
                upstream.scripts[PATH] = busy_times(2, Script(pieces=(b'{"ok":true}',)))
                assert post(proxy, "h2").json() == {"ok": True}
    assert [seen.version for seen in upstream.requests] == ["HTTP/2"] * 6


# Wait


def test_others_are_served_while_a_request_waits(
    proxy: Running, sender: Sender, upstream: Upstream
) -> None:
    upstream.scripts[PATH] = BUSY
    upstream.scripts["/v1/messages/other"] = Script(pieces=(b"{}",))
    sender.decide = lambda flow: again(flow, wait_s=3600.0)
    with socket.create_connection(("127.0.0.1", proxy.port)) as client:
        client.sendall(raw_request())
        assert sender.is_held.wait(TIMEOUT_S)
        headers = {"x-api-key": "sk-ccproxy-up"}
        answer = httpx.post(f"{proxy.url}/v1/messages/other", json=ASK, headers=headers)
        assert answer.status_code == 200
        assert [seen.path for seen in upstream.requests] == [PATH, "/v1/messages/other"]


def test_it_is_sent_when_the_wait_is_over(
    proxy: Running, sender: Sender, upstream: Upstream
) -> None:
    upstream.scripts[PATH] = busy_times(1, Script(pieces=(b'{"ok":true}',)))
    sender.decide = lambda flow: again(flow, wait_s=0.05)
    answer = post(proxy)
    assert answer.json() == {"ok": True}
    first, second = record_of(proxy, answer).attempts
    assert first.duration_ms is not None
    assert second.started_at_ms >= first.started_at_ms + 50


def test_a_client_that_leaves_while_its_request_waits_ends_the_flow(
    proxy: Running, sender: Sender, upstream: Upstream
) -> None:
    upstream.scripts[PATH] = BUSY
    sender.decide = lambda flow: again(flow, wait_s=0.3)
    count = len(proxy.sink.records)
    with socket.create_connection(("127.0.0.1", proxy.port)) as client:
        client.sendall(raw_request())
        assert sender.is_held.wait(TIMEOUT_S)
    record = proxy.sink.wait(count + 1)
    assert record.state == "error" and "disconnected" in record.error
    # Another request that waits as long is sent: the timer of the first has rung by then.
    upstream.scripts[PATH] = busy_times(1, Script(pieces=(b'{"ok":true}',)))
    assert post(proxy).json() == {"ok": True}
    assert len(upstream.requests) == 3
    proxy.sink.wait(count + 2)
    assert len(proxy.sink.records) == count + 2


def test_a_stream_that_its_http2_client_resets_is_not_sent_again(
    proxy: Running, sender: Sender, upstream: Upstream
) -> None:
    """The client's connection lives on, and with it the timer of the stream that was reset."""
    upstream.scripts[PATH] = BUSY
    sender.decide = lambda flow: again(flow, wait_s=0.3)
    with Http2Client(proxy.port) as client:
        client.send(1)
        assert sender.is_held.wait(TIMEOUT_S)
        client.reset(1)
        proxy.sink.wait(1)
        # Sent again after as long a wait: the timer of the first has rung by then.
        upstream.scripts[PATH] = busy_times(1, Script(pieces=(b'{"ok":true}',)))
        client.send(3)
        assert client.body_of(3) == b'{"ok":true}'
        proxy.sink.wait(2)
    assert len(upstream.requests) == 3
    assert [record.state for record in proxy.sink.records] == ["error", "done"]


class Http2Client:
    """The least of an HTTP/2 client, over TLS."""

    def __init__(self, port: int) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self._socket = context.wrap_socket(plain, server_hostname="localhost")
        self._h2 = H2Connection(H2Configuration(client_side=True))
        self._h2.initiate_connection()
        self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, stream_id: int) -> None:
        """Send the request."""
        headers = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", PATH),
            ("x-api-key", "sk-ccproxy-up"),
        ]
        self._h2.send_headers(stream_id, headers)
        self._h2.send_data(stream_id, json.dumps(ASK).encode(), end_stream=True)
        self._flush()

    def reset(self, stream_id: int) -> None:
        """Give the request up."""
        self._h2.reset_stream(stream_id, ErrorCodes.CANCEL)
        self._flush()

    def body_of(self, stream_id: int) -> bytes:
        """Wait for the response and return its body."""
        body = b""
        while True:
            for event in self._h2.receive_data(self._socket.recv(65536)):
                if isinstance(event, DataReceived) and event.stream_id == stream_id:
                    body += event.data
                if isinstance(event, StreamEnded) and event.stream_id == stream_id:
                    return body
            self._flush()

    def _flush(self) -> None:
        self._socket.sendall(self._h2.data_to_send())


def raw_request() -> bytes:
    body = json.dumps(ASK).encode()
    head = f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\nx-api-key: sk-ccproxy-up\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


# Budget


def test_the_last_response_passes_when_all_times_are_used(
    proxy: Running, sender: Sender, upstream: Upstream
) -> None:
    upstream.scripts[PATH] = BUSY
    sender.decide = again
    answer = post(proxy)
    assert (answer.status_code, answer.content) == (503, b'{"busy":true}')
    assert len(upstream.requests) == 4
    assert sender.accepted == [True] * 3, "the fourth response is not held any more"
    assert [each.status_code for each in record_of(proxy, answer).attempts] == [503] * 4


def test_a_wait_over_the_total_time_is_refused(
    proxy: Running, sender: Sender, upstream: Upstream
) -> None:
    upstream.scripts[PATH] = BUSY
    sender.hold = Hold("test", is_busy, max_times=3, max_total_s=60.0)
    sender.decide = lambda flow: again(flow, wait_s=61.0)
    answer = post(proxy)
    assert (answer.status_code, sender.accepted, len(upstream.requests)) == (503, [False], 1)


# State alone


def held_flow(*wishes: Hold, status: int = 503) -> HTTPFlow:
    flow = tflow.tflow()
    for wish in wishes:
        hold(flow, wish)
    found = attempts_of(flow)
    assert found is not None
    response = Response.make(status, b"", {"retry-after": "1"})
    found.begin_holding(ResponseHeaders(1, response, False))
    return flow


def test_only_the_first_decision_counts() -> None:
    flow = held_flow(Hold("a", is_busy), Hold("b", is_busy))
    found = attempts_of(flow)
    assert found is not None and found.held is not None and found.held.by == ("a", "b")
    assert send_again(flow, SendAgain(by="b", reason="b"))
    assert not send_again(flow, SendAgain(by="a", reason="a"))
    assert found.decision is not None and found.decision.reason == "b"


def test_nothing_is_sent_again_that_is_not_held() -> None:
    assert not send_again(tflow.tflow(), SendAgain(by="a", reason="a"))
    flow = held_flow(Hold("a", is_busy), status=200)
    assert not send_again(flow, SendAgain(by="a", reason="a"))
    assert not send_again(held_flow(Hold("a", is_busy)), SendAgain(by="unknown", reason="a"))


def test_each_hold_has_times_of_its_own() -> None:
    flow = held_flow(Hold("a", is_busy), Hold("b", is_busy, max_times=2))
    found = attempts_of(flow)
    assert found is not None
    found.begin(SendAgain(by="a", reason="1"), flow)
    assert not send_again(flow, SendAgain(by="a", reason="a"))
    assert send_again(flow, SendAgain(by="b", reason="b"))


def test_the_reason_why_a_response_passes_is_kept() -> None:
    flow = held_flow(Hold("a", is_busy))
    let_pass(flow, "no other credential")
    found = attempts_of(flow)
    assert found is not None and found.passed_because == "no other credential"


def test_an_attempt_under_way_has_no_duration() -> None:
    flow = held_flow(Hold("a", is_busy))
    found = attempts_of(flow)
    assert found is not None
    found.note_held()
    found.end(found.end_holding())
    found.begin(SendAgain(by="a", reason="1"), flow)
    flow.response = None
    live = attempt_records(flow, found.made[0].began, finished=False)
    assert (live[1].duration_ms, live[1].status_code) == (None, None)
    done = attempt_records(flow, found.made[0].began, finished=True)
    assert done[1].duration_ms is not None and live[0] == done[0]
    assert attempts.attempts_of(tflow.tflow()) is None
