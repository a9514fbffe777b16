"""Every malformed request is answered or closed at once, nothing of it goes on, and the next
request is served.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from interceptor.mitm.deadlines import DEADLINES
from tests.fakes.upstream import Script, Upstream
from tests.interceptor.mitm.malformed import CASES, LIMIT, Case
from tests.interceptor.proxied import Running, provider, running_proxy, snapshot
from tests.patience import PATIENCE_S

CLIENT_TIMEOUT_S = 0.3
FORBIDDEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|/evil|\r\n[ \t]|evil\.test\r\n(?!$)")


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        server.scripts["/v1/messages"] = Script()
        server.scripts["/v1/x"] = Script()
        yield server


@pytest.fixture(scope="module")
def proxy(upstream: Upstream) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DEADLINES, "head_timeout_s", CLIENT_TIMEOUT_S)
        patch.setattr(DEADLINES, "body_timeout_s", CLIENT_TIMEOUT_S)
        with running_proxy(
            snapshot(provider("up", upstream.port)), body_size_limit=str(LIMIT)
        ) as running:
            yield running


def talk(port: int, case: Case) -> bytes:
    """Everything that comes back until the answer is complete or the connection ends."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client:
        try:
            client.sendall(case.data)
            if case.half_close:
                client.shutdown(socket.SHUT_WR)
            while not complete(got) and (data := client.recv(65536)):
                got += data
        except (ConnectionResetError, BrokenPipeError):
            pass
    return got


def complete(got: bytes) -> bool:
    head, end, body = got.partition(b"\r\n\r\n")
    found = re.search(rb"content-length: (\d+)", head.lower())
    return bool(end and found and len(body) >= int(found[1]))


def check_answer(case: Case, got: bytes) -> None:
    status = int(got.split(b" ")[1]) if got else 0
    assert status in case.statuses, got[:600]
    if status >= 400:
        head, _, body = got.partition(b"\r\n\r\n")
        assert b"application/json" in head.lower() and b"access-control-" not in head.lower()
        assert len(body) <= 4096
        error = json.loads(body)["error"]
        assert error["message"].strip()
    assert b"mitmproxy 1" not in got.lower() and b"<html" not in got.lower()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_refused_and_the_next_is_served(
    case: Case, proxy: Running, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    before = len(upstream.requests)
    started = time.monotonic()
    got = talk(proxy.port, case)
    assert time.monotonic() - started < PATIENCE_S, "it hung"
    check_answer(case, got)
    arrived = upstream.requests[before:]
    assert len(arrived) <= (200 in case.statuses)
    for seen in arrived:
        assert not FORBIDDEN.search(seen.head), seen.head
    good = httpx.post(
        f"{proxy.url}/v1/messages", content=b"{}", headers={"x-api-key": "sk-ccproxy-up"}
    )
    assert good.status_code == 200
    assert upstream.last.header("trailer") is None or upstream.last.body == b"{}"
    assert "crashed" not in caplog.text and "Traceback" not in caplog.text


def test_the_battery_is_a_battery() -> None:
    assert len(CASES) >= 120
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/v1/messages", "type"),
        ("/v1/chat/completions", "error"),
        ("/v1beta/models/g:generateContent", "error"),
    ],
)
def test_a_refusal_is_in_the_callers_format(proxy: Running, path: str, shape: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    for bad, status in (
        ("Content-Length: x\r\n", 400),
        ("Origin: null\r\n", 403),
        ("X: " + "a" * 300_000, 431),
    ):
        got = talk(proxy.port, Case("", f"{head}{bad}\r\n".encode(), ()))
        assert int(got.split(b" ")[1]) == status
        answer = json.loads(got.partition(b"\r\n\r\n")[2])
        assert shape in answer
        assert ("status" in answer["error"]) == ("generateContent" in path)


def test_a_client_that_sends_on_reads_the_refusal(proxy: Running, upstream: Upstream) -> None:
    before = len(upstream.requests)
    answer = httpx.post(
        f"{proxy.url}/v1/messages",
        content=b"a" * (20 * LIMIT),
        headers={"x-api-key": "sk-ccproxy-up"},
    )
    assert answer.status_code == 413
    assert (
        answer.json()["type"] == "error" and "body_size_limit" in answer.json()["error"]["message"]
    )
    assert len(upstream.requests) == before


def test_pipelined_requests_are_answered_in_order(proxy: Running, upstream: Upstream) -> None:
    one = b"GET /v1/x?n=%d HTTP/1.1\r\nHost: localhost\r\nx-api-key: sk-ccproxy-up\r\n%s\r\n"
    before = len(upstream.requests)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S) as client:
        client.sendall(one % (1, b"") + one % (2, b"") + one % (3, b"Connection: close\r\n"))
        got = b""
        while data := client.recv(65536):
            got += data
    assert got.count(b"HTTP/1.1 200") == 3
    assert [seen.target for seen in upstream.requests[before:]] == [
        "/v1/x?n=1",
        "/v1/x?n=2",
        "/v1/x?n=3",
    ]


def test_head_answers_have_no_body(proxy: Running) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S) as client:
        client.sendall(
            b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n"
        )
        client.sendall(b"Connection: close\r\n\r\n")
        got = b""
        while data := client.recv(65536):
            got += data
    first, second = got.split(b"\r\n\r\n", 1)
    assert first.startswith(b"HTTP/1.1 200") and second.startswith(b"HTTP/1.1 200")


def test_a_provider_that_fails_after_100_continue_is_an_answer() -> None:
    with (
        running_proxy(snapshot(provider("up", 1))) as running,
        socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE_S) as client,
    ):
        client.sendall(
            b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nx-api-key: sk-ccproxy-up\r\nExpect:"
            b" 100-continue\r\nContent-Length: 2\r\n\r\n{}"
        )
        got = b""
        while data := client.recv(65536):
            got += data
    assert got.startswith(b"HTTP/1.1 100") and b"HTTP/1.1 502" in got
