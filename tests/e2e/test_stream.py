"""Streams arrive event by event, byte for byte, and outlive a request to stop."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import httpx
import pytest

from interceptor.operate.liveness import RecordWatch
from tests.e2e import raw
from tests.e2e.conftest import config_for
from tests.e2e.process import Interceptor, running, wait_until
from tests.fakes.upstream import Script, Upstream, sse

BODY = b'{"model":"demo","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"Hi"}]}'
KEY = ("x-api-key", "sk-ccproxy-up")


def ask(port: int) -> bytes:
    return raw.request("POST", "/v1/messages", [("Host", f"127.0.0.1:{port}"), KEY, *_LENGTH], BODY)


_LENGTH = [("Content-Type", "application/json"), ("Content-Length", str(len(BODY)))]


def delta(number: int) -> bytes:
    text = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": f"piece {number} "},
    }
    return f"event: content_block_delta\ndata: {json.dumps(text)}\n\n".encode()


def test_two_hundred_events_arrive_one_by_one(upstream: Upstream, interceptor: Interceptor) -> None:
    """The provider sends an event once the client has the one before: none may be held back."""
    events = [delta(number) for number in range(200)]
    received = threading.Semaphore(0)
    upstream.scripts["/v1/messages"] = sse(*events, paced_by=received)
    body, arrived = b"", list[float]()
    headers = dict([KEY, *_LENGTH])
    with httpx.stream(
        "POST", f"{interceptor.url}/v1/messages", content=BODY, headers=headers, trust_env=False
    ) as answer:
        for piece in answer.iter_raw():
            body += piece
            while len(arrived) < len(events) and events[len(arrived)] in body:
                arrived.append(time.monotonic())
                received.release()
    assert body == b"".join(events)
    sent = [at for at, _ in upstream.last.sent]
    late = [k for k in range(len(events) - 1) if arrived[k] > sent[k + 1]]
    assert late == [], "these events came after the next one was sent"
    trace(arrived, sent)
    flow = interceptor.flow(answer.headers["x-ccproxy-flow"])
    assert (flow["is_stream"], flow["event_count"]) == (1, 200)
    assert flow["response_size_bytes"] == len(body)
    sides = interceptor.sides(flow["id"])
    assert sides["upstream"]["body"] == sides["delivered"]["body"] == body


def trace(arrived: list[float], sent: list[float]) -> None:
    """Write the recorded trace where CCPROXY_TEST_TRACE says."""
    if path := os.environ.get("CCPROXY_TEST_TRACE"):
        lags_ms = [(there - here) * 1000 for there, here in zip(arrived, sent, strict=True)]
        rows = [
            {"event": k, "sent_ms": (sent[k] - sent[0]) * 1000, "lag_ms": lag}
            for k, lag in enumerate(lags_ms)
        ]
        Path(path).write_text(json.dumps({"max_lag_ms": max(lags_ms), "events": rows}, indent=1))


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_any_chunking_is_byte_identical(
    upstream: Upstream, interceptor: Interceptor, size: int
) -> None:
    whole = (
        b"".join(delta(number) for number in range(20 if size > 1 else 2))
        + "data: ä\r\n\r\n: end\n\n".encode()
    )
    upstream.scripts["/v1/messages"] = sse(
        *(whole[i : i + size] for i in range(0, len(whole), size))
    )
    answer = raw.exchange(interceptor.port, ask(interceptor.port))
    assert (answer.complete, answer.body) == (True, whole)


def test_a_stream_cut_by_the_provider_is_cut_for_the_client(
    upstream: Upstream, interceptor: Interceptor
) -> None:
    upstream.scripts["/v1/messages"] = sse(
        delta(1), delta(2), delta(3), pause_s=0.05, reset_after=2
    )
    answer = raw.exchange(interceptor.port, ask(interceptor.port))
    assert answer.status == 200
    assert answer.body.startswith(delta(1) + delta(2))
    assert delta(3) not in answer.body
    flow = interceptor.flow(answer.flow_id)
    assert flow["state"] == "error"
    assert flow["error"]


def test_a_provider_that_hangs_up_is_a_502_in_the_callers_format(
    upstream: Upstream, interceptor: Interceptor
) -> None:
    upstream.scripts["/v1/messages"] = Script(reset_after=0)
    answer = raw.exchange(interceptor.port, ask(interceptor.port))
    assert answer.status == 502
    assert answer.json["type"] == "error"


def test_a_client_that_leaves_ends_the_upstream_request(
    upstream: Upstream, interceptor: Interceptor
) -> None:
    upstream.scripts["/v1/messages"] = sse(*(delta(n) for n in range(2000)), pause_s=0.02)
    with raw.connection(interceptor.port) as client:
        client.sendall(ask(interceptor.port))
        assert client.recv(100)
    wait_until(upstream.last.client_gone.is_set, "the upstream connection is closed")


def test_sigterm_lets_an_open_stream_finish(upstream: Upstream, tmp_path: Path) -> None:
    """What was answered right before it is recorded, too."""
    gate = threading.Event()
    with running(Interceptor(tmp_path, config_for(upstream, tmp_path), "--no-console")) as process:
        ids = [raw.exchange(process.port, ask(process.port)).flow_id for _ in range(20)]
        upstream.scripts["/v1/messages"] = sse(delta(1), delta(2), gate=gate)
        with raw.connection(process.port) as client:
            client.sendall(ask(process.port))
            upstream.wait_for(21)
            process.terminate()
            wait_until(lambda: refuses(process.port), "new connections are refused")
            gate.set()
            answer = raw.read_answer(client)
        assert (answer.complete, answer.body) == (True, delta(1) + delta(2))
        assert process.wait() == 0
        done = [flow["id"] for flow in process.flows("state='done'")]
        assert done == [*ids, answer.flow_id]


def test_sigterm_ends_a_stream_with_an_error_of_its_format(
    upstream: Upstream, tmp_path: Path
) -> None:
    gate = threading.Event()
    upstream.scripts["/v1/messages"] = sse(delta(1), delta(2), gate=gate)
    config = "shutdown_timeout_seconds: 0.5\n" + config_for(upstream, tmp_path)
    with (
        running(Interceptor(tmp_path, config, "--no-console")) as process,
        raw.connection(process.port) as client,
    ):
        client.sendall(ask(process.port))
        upstream.wait_for(1)
        process.terminate()
        answer = raw.read_answer(client)
        assert answer.complete
        assert answer.body.startswith(delta(1) + b'event: error\ndata: {"type":"error"')
        assert process.wait() == 0
        gate.set()
        flow = process.flows()[-1]
        assert flow["state"] == "error"
        assert "stopped" in flow["error"]


def refuses(port: int) -> bool:
    try:
        with raw.connection(port):
            return False
    except ConnectionRefusedError:
        return True


def test_what_health_calls_stored_is_in_the_database_also_of_a_running_flow(
    upstream: Upstream, interceptor: Interceptor
) -> None:
    def recorded() -> int:
        health = httpx.get(f"{interceptor.url}/health", trust_env=False).json()
        return int(health["record"]["recorded"])

    before, go_on = recorded(), threading.Semaphore(0)
    upstream.scripts["/v1/messages"] = sse(delta(0), delta(1), paced_by=go_on)
    url, headers = f"{interceptor.url}/v1/messages", dict([KEY, *_LENGTH])
    with httpx.stream("POST", url, content=BODY, headers=headers, trust_env=False) as answer:
        flow_id = answer.headers["x-ccproxy-flow"]
        arriving = answer.iter_raw()
        next(arriving)
        wait_until(lambda: recorded() > before, "the running flow is recorded")
        watch = RecordWatch("127.0.0.1", interceptor.port)
        wait_until(lambda: watch.is_stored() is True, "the running flow is stored")
        (row,) = interceptor.rows(f"select state from flows_flow where id = '{flow_id}'")
        assert row["state"] == "live"
        go_on.release()
        assert b"piece 1" in b"".join(arriving)
    watch = RecordWatch("127.0.0.1", interceptor.port)
    wait_until(lambda: watch.is_stored() is True, "the ended flow is stored")
    (row,) = interceptor.rows(f"select state from flows_flow where id = '{flow_id}'")
    assert row["state"] == "done"
