"""Whatever a provider does, its client gets an answer in time and in its own format, and the next
request is served.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from itertools import pairwise

import httpx
import pytest

from tests.e2e import raw
from tests.fakes.raw_upstream import GOOD, RawUpstream
from tests.fakes.upstream import Upstream, sse
from tests.interceptor.mitm.misbehaving import CASES, CUTS, ECHO, EVENT, STREAM_HEAD, Case, chunk
from tests.interceptor.proxied import Running, provider, running_proxy, snapshot
from tests.patience import PATIENCE_S

IDLE_TIMEOUT_S = 1.5
PATHS = {
    "/v1/messages": "sk-ccproxy-up",
    "/v1/chat/completions": "sk-ccproxy-chat",
    "/v1/responses": "sk-ccproxy-responses",
    "/v1beta/models/g:streamGenerateContent?alt=sse": "sk-ccproxy-google",
}


@pytest.fixture(scope="module")
def proxy(raw_upstream: RawUpstream) -> Iterator[Running]:
    config = snapshot(
        provider("up", raw_upstream.port),
        provider("chat", raw_upstream.port, type="openai", path="/v1/chat/completions"),
        provider("responses", raw_upstream.port, type="openai_responses", path="/v1/responses"),
        provider(
            "google", raw_upstream.port, type="google", path="/v1beta/models/{model}:{action}"
        ),
    )
    with running_proxy(config, idle_timeout_s=IDLE_TIMEOUT_S) as running:
        yield running


def ask(proxy: Running, path: str = "/v1/messages", body: bytes = b'{"model":"m"}') -> raw.Answer:
    headers = [
        ("Host", "127.0.0.1"),
        ("x-api-key", PATHS[path]),
        ("Content-Length", str(len(body))),
    ]
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S) as client:
        client.sendall(raw.request("POST", path, headers, body))
        try:
            return raw.read_answer(client)
        except ConnectionResetError:
            return raw.Answer(0, [])


def check_next(proxy: Running, raw_upstream: RawUpstream) -> None:
    raw_upstream.steps, raw_upstream.reads_first = lambda: [GOOD], True
    answer = ask(proxy)
    assert (answer.status, answer.body) == (200, b"{}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_its_client_gets_an_answer(
    case: Case, proxy: Running, raw_upstream: RawUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    count = len(proxy.sink.records)
    raw_upstream.steps, raw_upstream.reads_first = case.steps, case.reads_first
    answer = ask(proxy)
    assert (answer.status, answer.complete) == (case.status, case.whole), answer.body[:500]
    if case.body is not None:
        assert answer.body == case.body
    if case.status in (502, 504):
        assert answer.header("content-type") == "application/json"
        assert answer.json["type"] == "error" and "up" in answer.json["error"]["message"]
        assert len(answer.body) <= 4096 and ECHO not in answer.body
    record = proxy.sink.wait(count + 1)
    assert record.state == ("error" if case.status in (502, 504) or not case.whole else "done")
    assert ECHO.decode() not in record.error
    check_next(proxy, raw_upstream)
    assert "crashed" not in caplog.text and "Traceback" not in caplog.text


def test_the_table_is_long_enough() -> None:
    assert len(CASES) >= 40 and len({case.name for case in CASES}) == len(CASES)


def last_event(body: bytes) -> dict[str, object]:
    lines = body.rstrip(b"\n").split(b"\n\n")[-1].split(b"\n")
    [data] = [line.removeprefix(b"data: ") for line in lines if line.startswith(b"data: ")]
    event: dict[str, object] = json.loads(data)
    return event


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("cut", CUTS)
def test_a_stream_that_breaks_ends_with_an_error_event(
    cut: str, path: str, proxy: Running, raw_upstream: RawUpstream
) -> None:
    count = len(proxy.sink.records)
    raw_upstream.steps, raw_upstream.reads_first = (
        lambda: [STREAM_HEAD, chunk(EVENT), chunk(EVENT), *CUTS[cut]],
        True,
    )
    answer = ask(proxy, path)
    assert (answer.status, answer.complete) == (200, True)
    assert answer.body.startswith(EVENT + EVENT)
    event = last_event(answer.body)
    if path == "/v1/messages":
        assert b"\n\nevent: error\ndata: {" in answer.body and event["type"] == "error"
    elif path == "/v1/responses":
        assert event["type"] == "error" and "sequence_number" in event
    else:
        assert isinstance(event["error"], dict)
    assert ECHO not in answer.body
    record = proxy.sink.wait(count + 1)
    sides = {side.side: side for side in record.sides}
    assert record.state == "error" and record.error
    assert sides["delivered"].body == answer.body
    assert (sides["upstream"].body or b"").startswith(EVENT + EVENT)
    assert b"error" not in (sides["upstream"].body or b"")
    check_next(proxy, raw_upstream)


def test_the_event_follows_the_cut_at_once(proxy: Running, raw_upstream: RawUpstream) -> None:
    cut_at: list[float] = []

    def steps() -> Iterator[bytes | float | str]:
        yield STREAM_HEAD + chunk(EVENT)
        yield 0.1
        cut_at.append(time.monotonic())
        yield "reset"

    raw_upstream.steps = steps
    answer = ask(proxy)
    assert answer.complete and answer.pieces[-1][0] - cut_at[0] < 1.0


def test_an_event_that_was_cut_is_closed_before_ours(
    proxy: Running, raw_upstream: RawUpstream
) -> None:
    raw_upstream.steps = lambda: [
        STREAM_HEAD,
        chunk(EVENT),
        chunk(b'event: x\ndata: {"half'),
        0.05,
        "reset",
    ]
    answer = ask(proxy)
    assert b'data: {"half\n\nevent: error\n' in answer.body


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 500\r\n", b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"],
)
def test_a_stream_that_can_take_no_event_is_seen_to_be_cut(
    framing: bytes, proxy: Running, raw_upstream: RawUpstream
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + framing + b"\r\n"
    raw_upstream.steps = lambda: [head, chunk(EVENT), 0.05, "reset"]
    answer = ask(proxy)
    assert (answer.status, answer.complete) == (200, False) and b"error" not in answer.body


def test_a_connection_survives_an_error_event(proxy: Running, raw_upstream: RawUpstream) -> None:
    with httpx.Client(headers={"x-api-key": "sk-ccproxy-up"}) as client:
        for _ in range(3):
            raw_upstream.steps = lambda: [STREAM_HEAD, chunk(EVENT), "reset"]
            assert b"event: error" in client.post(f"{proxy.url}/v1/messages", content=b"{}").content
            raw_upstream.steps = lambda: [GOOD]
            assert client.post(f"{proxy.url}/v1/messages", content=b"{}").status_code == 200


def test_a_slow_head_is_no_stall(proxy: Running, raw_upstream: RawUpstream) -> None:
    pieces = [GOOD[start : start + 20] for start in range(0, len(GOOD), 20)]
    pauses: list[bytes | float] = [step for piece in pieces for step in (piece, IDLE_TIMEOUT_S / 8)]
    raw_upstream.steps = lambda: pauses
    assert ask(proxy).status == 200


def test_a_stream_with_pauses_is_no_stall(proxy: Running, raw_upstream: RawUpstream) -> None:
    events: list[bytes | float] = [
        step for _ in range(6) for step in (chunk(EVENT), IDLE_TIMEOUT_S / 2)
    ]
    raw_upstream.steps = lambda: [STREAM_HEAD, *events, b"0\r\n\r\n"]
    answer = ask(proxy)
    assert answer.complete and answer.body == EVENT * 6
    assert all(later >= earlier for (earlier, _), (later, _) in pairwise(answer.pieces))


# mitmproxy serves one proxy a process: from here on the tests start their own, and the one above is
# no longer used.


@pytest.mark.parametrize("read_first", [False, True])
def test_a_client_that_leaves_takes_the_upstream_with_it(read_first: bool) -> None:
    with Upstream() as upstream, running_proxy(snapshot(provider("up", upstream.port))) as proxy:
        pause_s = 0.05 if read_first else 30.0
        upstream.scripts["/v1/messages"] = sse(*[EVENT] * 2000, pause_s=pause_s)
        body = b'{"model":"m"}'
        headers = [
            ("Host", "localhost"),
            ("x-api-key", "sk-ccproxy-up"),
            ("Content-Length", str(len(body))),
        ]
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S) as client:
            client.sendall(raw.request("POST", "/v1/messages", headers, body))
            upstream.wait_for(1)
            if read_first:
                assert client.recv(10)
        started = time.monotonic()
        record = proxy.sink.wait(1)
        assert time.monotonic() - started < 2.0
        assert record.state == "error" and "Client disconnected" in record.error
        if read_first:  # a sleeping script only notices when it writes
            assert upstream.last.client_gone.wait(PATIENCE_S)


def test_an_address_that_swallows_packets_is_given_up() -> None:
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:  # the backlog is full: further handshakes get no answer
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())
    try:
        config = snapshot(provider("up", full.getsockname()[1]))
        with running_proxy(config, idle_timeout_s=IDLE_TIMEOUT_S) as proxy:
            answer = ask(proxy)
            assert (
                answer.status == 504 and "could not be reached" in answer.json["error"]["message"]
            )
    finally:
        for held in (full, *fillers):
            held.close()
