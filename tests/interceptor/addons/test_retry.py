"""Retries by a provider's policy, between a real client and a scripted provider."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from flows.record import FlowRecord
from interceptor.addons.failures import retry
from interceptor.proxy import STOPPED
from providers.provider_conf import ProviderConf
from providers.retry_policy import RetryPolicy, retry_policy
from tests.fakes.certificates import make_authority
from tests.fakes.http2 import Http2Upstream
from tests.fakes.upstream import Script, Seen, Upstream, sse
from tests.interceptor.proxied import Running, provider, rule, running_proxy, snapshot
from tests.patience import PATIENCE_S

PATH = "/v1/messages"
ASK = {"model": "demo", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}
GOOD = Script(pieces=(b'{"ok":true}',))
RESET = Script(reset_after=0)


def busy(status: int = 503, *headers: tuple[str, str], body: bytes = b"{}") -> Script:
    """A failure of the provider."""
    return Script(status, (("content-type", "application/json"), *headers), (body,))


def in_turn(*scripts: Script) -> Callable[[Seen], Script]:
    """A provider that answers with each script once, and then with the last one."""
    left = list(scripts)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 0.01)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def providers_of(upstream: Upstream, policy: RetryPolicy) -> list[ProviderConf]:
    chat = {"type": "openai", "path": "/v1/chat/completions"}
    return [
        provider("up", upstream.port, retry=policy),
        provider("off", upstream.port),
        provider("gone", closed_port(), retry=policy),
        provider("chat", upstream.port, retry=policy, **chat),
        provider("oai", upstream.port, retry=policy, type="openai_responses", path="/v1/responses"),
    ]


@pytest.fixture
def proxy(upstream: Upstream) -> Iterator[Running]:
    upstream.requests.clear()
    upstream.scripts.clear()
    rules = (rule("transform", match_model="^other$", dest_provider="chat", dest_model="demo"),)
    config = snapshot(*providers_of(upstream, RetryPolicy(attempts=3)), rules=rules)
    with running_proxy(config, idle_timeout_s=1.0) as running:
        yield running


def post(proxy: Running, name: str = "up", **body: Any) -> httpx.Response:
    headers = {"x-api-key": f"sk-ccproxy-{name}"}
    url = f"{proxy.url}{PATH}"
    return httpx.post(url, json={**ASK, **body}, headers=headers, timeout=PATIENCE_S)


def raw_request(name: str = "up") -> bytes:
    body = json.dumps(ASK).encode()
    head = f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\nx-api-key: sk-ccproxy-{name}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def waits_ms(record: FlowRecord) -> list[float]:
    return [attempt.wait_ms for attempt in record.attempts]


# It succeeds in the end


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_a_failure_is_tried_again(proxy: Running, upstream: Upstream, status: int) -> None:
    upstream.scripts[PATH] = in_turn(busy(status), GOOD)
    answer = post(proxy)
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    assert "x-ccproxy-attempts" not in answer.headers
    first, second = upstream.requests
    assert (first.body, first.headers) == (second.body, second.headers)
    record = proxy.sink.of(answer)
    assert (record.state, record.error) == ("done", "")
    assert [attempt.status_code for attempt in record.attempts] == [status, 200]
    assert record.attempts[1].reason.startswith(f"{status}: waited 0.0")


@pytest.mark.parametrize("status", [400, 401, 404, 501])
def test_other_failures_pass_at_once(proxy: Running, upstream: Upstream, status: int) -> None:
    upstream.scripts[PATH] = in_turn(busy(status), GOOD)
    assert post(proxy).status_code == status
    # A 401 is the auth addon's; a stored key that is still the same is not sent again.
    assert len(upstream.requests) == 1


def test_without_a_policy_nothing_is_held(proxy: Running, upstream: Upstream) -> None:
    upstream.scripts[PATH] = in_turn(busy(), GOOD)
    answer = post(proxy, "off")
    assert (answer.status_code, len(upstream.requests)) == (503, 1)
    assert proxy.sink.of(answer).attempts == ()


def test_a_streamed_response_still_streams(proxy: Running, upstream: Upstream) -> None:
    gate = threading.Event()
    stream = sse(b"data: 1\n\n", b"data: 2\n\n", gate=gate)
    upstream.scripts[PATH] = in_turn(busy(529), stream)
    headers = {"x-api-key": "sk-ccproxy-up"}
    with httpx.stream("POST", f"{proxy.url}{PATH}", json=ASK, headers=headers) as answer:
        pieces = answer.iter_bytes()
        assert next(pieces) == b"data: 1\n\n", "the first event comes before the last one is sent"
        gate.set()
        assert b"".join(pieces) == b"data: 2\n\n"
    assert len(upstream.requests) == 2


def test_a_stream_that_breaks_is_not_sent_again(proxy: Running, upstream: Upstream) -> None:
    upstream.scripts[PATH] = in_turn(
        sse(b"data: 1\n\n", b"data: 2\n\n", reset_after=1, pause_s=0.05), GOOD
    )
    answer = post(proxy)
    assert answer.content.startswith(b"data: 1\n\n")
    assert len(upstream.requests) == 1


def test_a_lost_connection_is_tried_again(proxy: Running, upstream: Upstream) -> None:
    upstream.scripts[PATH] = in_turn(RESET, GOOD)
    answer = post(proxy)
    assert answer.json() == {"ok": True}
    record = proxy.sink.of(answer)
    assert (record.state, record.error) == ("done", "")
    assert [attempt.status_code for attempt in record.attempts] == [None, 200]
    assert record.attempts[1].reason.startswith("no connection: waited")


def test_a_failure_that_breaks_midway_is_tried_again(proxy: Running, upstream: Upstream) -> None:
    broken = Script(503, pieces=(b"{", b"}"), reset_after=1, pause_s=0.05)
    upstream.scripts[PATH] = in_turn(broken, GOOD)
    assert post(proxy).json() == {"ok": True}


def test_a_provider_that_starts_to_listen_is_reached(decided: threading.Event) -> None:
    port = closed_port()
    config = snapshot(provider("late", port, retry=RetryPolicy(attempts=10)))
    with running_proxy(config) as proxy, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(post, proxy, "late")
        assert decided.wait(PATIENCE_S)
        with socket.create_server(("127.0.0.1", port)) as server:
            connection, _ = server.accept()
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            answer = asked.result(PATIENCE_S)
            connection.close()
        assert answer.status_code == 200
        made = proxy.sink.of(answer).attempts
    assert [attempt.status_code for attempt in made[:-1]] == [None] * (len(made) - 1)
    assert made[-1].status_code == 200


def test_silence_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        policy = RetryPolicy(attempts=2)
        config = snapshot(provider("silent", server.getsockname()[1], retry=policy))
        with running_proxy(config, idle_timeout_s=0.3) as own, ThreadPoolExecutor(1) as pool:
            asked = pool.submit(post, own, "silent")
            first, _ = server.accept()
            second, _ = server.accept()
            second.recv(65536)
            second.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            answer = asked.result(PATIENCE_S)
            record = own.sink.of(answer)
            first.close()
            second.close()
    assert (answer.status_code, record.error, record.state) == (200, "", "done")
    assert record.attempts[1].reason.startswith("nothing in time: waited")


def test_over_http2_to_the_provider(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    with Http2Upstream(authority.server_context(["h2", "http/1.1"])) as server:
        policy = RetryPolicy(attempts=3)
        config = snapshot(
            provider("h2", server.port, scheme="https", host="localhost", retry=policy)
        )
        with running_proxy(config, ssl_verify_upstream_trusted_ca=str(authority.ca_file)) as proxy:
            server.scripts[PATH] = in_turn(busy(529), busy(503), GOOD)
            answer = post(proxy, "h2")
            assert answer.json() == {"ok": True}
            made = proxy.sink.of(answer).attempts
    assert [attempt.status_code for attempt in made] == [529, 503, 200]
    assert [seen.version for seen in server.requests] == ["HTTP/2"] * 3


# Hints


@pytest.mark.parametrize(
    ("failure", "wait_ms"),
    [
        (busy(429, ("retry-after-ms", "40"), ("retry-after", "9")), 40),
        (busy(503, ("retry-after", "0.05")), 50),
        (busy(429, ("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "60ms"),
              ("x-ratelimit-remaining-tokens", "5"), ("x-ratelimit-reset-tokens", "6m0s")), 60),
        (busy(429, body=b'{"error":{"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo",'
                        b'"retryDelay":"0.07s"}]}}'), 70),
        (busy(429, ("content-encoding", "gzip"),
              body=gzip.compress(b'{"error":{"message":"Please try again in 80ms."}}')), 80),
    ],
)  # fmt: skip
def test_it_waits_as_long_as_the_provider_asks(
    proxy: Running, upstream: Upstream, failure: Script, wait_ms: float
) -> None:
    upstream.scripts[PATH] = in_turn(failure, GOOD)
    answer = post(proxy)
    assert answer.status_code == 200
    record = proxy.sink.of(answer)
    first, second = record.attempts
    assert waits_ms(record) == [0, pytest.approx(wait_ms)]
    assert first.duration_ms is not None
    assert second.started_at_ms >= first.started_at_ms + first.duration_ms + wait_ms - 1


def test_a_date_that_is_over_is_no_wait(proxy: Running, upstream: Upstream) -> None:
    date = formatdate(time.time() - 60, usegmt=True)
    upstream.scripts[PATH] = in_turn(busy(503, ("retry-after", date)), GOOD)
    answer = post(proxy)
    assert waits_ms(proxy.sink.of(answer)) == [0, 0]


def test_a_wait_over_the_budget_does_not_begin(proxy: Running, upstream: Upstream) -> None:
    date = formatdate(time.time() + 3600, usegmt=True)
    upstream.scripts[PATH] = in_turn(busy(429, ("retry-after", date), body=b'{"a":1}'), GOOD)
    answer = post(proxy)
    assert (answer.status_code, answer.json(), answer.headers["retry-after"]) == (
        429,
        {"a": 1},
        date,
    )
    assert "30 s are left of the provider's retry budget" in answer.headers["x-ccproxy-hint"]
    assert len(upstream.requests) == 1


def test_the_budget_is_of_all_waits_together(upstream: Upstream) -> None:
    upstream.requests.clear()
    upstream.scripts[PATH] = busy(503, ("retry-after", "0.2"))
    policy = RetryPolicy(attempts=9, budget_s=0.5)
    with running_proxy(snapshot(provider("up", upstream.port, retry=policy))) as proxy:
        answer = post(proxy)
    assert (answer.status_code, len(upstream.requests)) == (503, 3)


# It fails in the end


def test_the_last_response_names_every_attempt(proxy: Running, upstream: Upstream) -> None:
    upstream.scripts[PATH] = in_turn(busy(500), RESET, busy(503, body=b'{"last":1}'))
    answer = post(proxy)
    assert (answer.status_code, answer.json()) == (503, {"last": 1})
    assert len(upstream.requests) == 3
    one, two, three = answer.headers["x-ccproxy-attempts"].split("; ")
    assert one == "1: 127.0.0.1 500"
    assert two.startswith("2: 127.0.0.1 connect, after 0.0")
    assert three.startswith("3: 127.0.0.1 503, after 0.0")
    record = proxy.sink.of(answer)
    upstream_side = next(side for side in record.sides if side.side == "upstream")
    assert "x-ccproxy-attempts" not in dict(upstream_side.headers)
    assert [attempt.status_code for attempt in record.attempts] == [500, None, 503]


def test_the_last_lost_connection_is_an_error_in_the_clients_format(
    proxy: Running, upstream: Upstream
) -> None:
    answer = post(proxy, "gone")
    assert (answer.status_code, answer.json()["type"]) == (502, "error")
    line = answer.headers["x-ccproxy-attempts"]
    assert line.count("127.0.0.1 connect") == 3
    record = proxy.sink.of(answer)
    assert record.state == "error" and "gone" in record.error
    assert [attempt.status_code for attempt in record.attempts] == [None] * 3


def test_a_translated_error_names_them_too(proxy: Running, upstream: Upstream) -> None:
    error = b'{"error":{"message":"too much","type":"rate_limit"}}'
    upstream.scripts["/v1/chat/completions"] = busy(429, body=error)
    answer = post(proxy, model="other")
    assert (answer.status_code, answer.json()["error"]["message"]) == (429, "too much")
    assert answer.headers["x-ccproxy-attempts"].count("429") == 3


def test_a_translated_response_comes_after_a_failure(proxy: Running, upstream: Upstream) -> None:
    chat = "/v1/chat/completions"
    left = [busy(429, ("retry-after-ms", "5"))]

    def once(seen: Seen) -> Script:
        return left.pop() if left else upstream.scripted_answer(seen)

    upstream.scripts[chat] = once
    answer = post(proxy, model="other")
    assert (answer.status_code, answer.json()["type"]) == (200, "message")
    assert len(upstream.requests) == 2


# The wait ends early


def waiting(proxy: Running, upstream: Upstream) -> socket.socket:
    """A client whose request will wait for an hour."""
    config = snapshot(
        provider("up", upstream.port, retry=RetryPolicy(attempts=3, budget_s=3600.0)),
        provider("gone", closed_port(), retry=RetryPolicy(attempts=3, budget_s=3600.0)),
    )
    proxy.store.replace(config)
    upstream.scripts[PATH] = busy(503, ("retry-after", "3600"))
    client = socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S)
    client.sendall(raw_request())
    upstream.wait_for(1)
    return client


def test_a_client_that_leaves_in_a_wait_ends_the_flow(
    proxy: Running, upstream: Upstream, decided: threading.Event
) -> None:
    with waiting(proxy, upstream):
        assert decided.wait(PATIENCE_S)
    record = proxy.sink.wait(1)
    assert record.state == "error" and "disconnected" in record.error
    assert len(upstream.requests) == 1


def test_a_client_that_leaves_in_a_wait_for_a_connection(
    proxy: Running, monkeypatch: pytest.MonkeyPatch, decided: threading.Event
) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 8.0)
    with socket.create_connection(("127.0.0.1", proxy.port)) as client:
        client.sendall(raw_request("gone"))
        assert decided.wait(PATIENCE_S)
    record = proxy.sink.wait(1)
    assert record.state == "error" and "disconnected" in record.error


@pytest.mark.parametrize("name", ["up", "gone"])
def test_a_stop_in_a_wait_is_an_error_in_the_clients_format(
    proxy: Running,
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
    decided: threading.Event,
    name: str,
) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 8.0)
    upstream.scripts[PATH] = busy(503, ("retry-after", "25"))
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S) as client:
        client.sendall(raw_request(name))
        assert decided.wait(PATIENCE_S)
        proxy.stop(0.1)
        received = b""
        while data := client.recv(65536):
            received += data
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert STOPPED in json.loads(body)["error"]["message"]
    record = proxy.sink.wait(1)
    assert record.state == "error"


# Others


def test_a_websocket_is_not_tried_again(proxy: Running, upstream: Upstream) -> None:
    upstream.scripts["/v1/responses"] = in_turn(busy(503), Script(echo=True))
    url = f"ws://127.0.0.1:{proxy.port}/v1/responses"
    headers = {"authorization": "Bearer sk-ccproxy-oai"}
    with pytest.raises(InvalidStatus):
        connect(url, additional_headers=headers, compression=None, proxy=None)
    assert len(upstream.requests) == 1
    with connect(url, additional_headers=headers, compression=None, proxy=None) as client:
        client.send("hello")
        assert client.recv() == "hello"


# The policy


def test_the_stored_policy() -> None:
    assert retry_policy({}) is None
    given = {"attempts": 2, "statuses": [429, "connect"], "budget_seconds": 5}
    assert retry_policy(given) == RetryPolicy(2, frozenset({429, "connect"}), 5.0)
    assert retry_policy({"attempts": 3}) == RetryPolicy(3)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], "mapping"),
        ({"statuses": [429]}, "from 2 to 10"),
        ({"attempts": 1}, "from 2 to 10"),
        ({"attempts": True}, "from 2 to 10"),
        ({"attempts": 3, "statuses": [401]}, "401"),
        ({"attempts": 3, "statuses": []}, "list"),
        ({"attempts": 3, "statuses": [True]}, "True"),
        ({"attempts": 3, "budget_seconds": -1}, "from 0 to 3600"),
        ({"attempts": 3, "statusses": [429]}, "statuses"),
    ],
)
def test_a_policy_that_cannot_be_used(values: object, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        retry_policy(values)
