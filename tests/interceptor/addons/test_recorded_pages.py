"""The record of a response that the client never had: the error page in its place, or nothing."""

from __future__ import annotations

import socket
from typing import Any

import httpx
import pytest

from flows.record import FlowRecord, SideRecord
from interceptor.config.snapshot.schema import Snapshot
from tests.e2e import raw
from tests.fakes.raw_upstream import RawUpstream, Step
from tests.interceptor.mitm.bad_upstream_checks import every_format
from tests.interceptor.proxied import Running
from tests.patience import PATIENCE_S

BODY = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'
PART = b'{"id": "c", "choices": ['
HEADS = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n63\r\n",
    "an error": b"HTTP/1.1 429 No\r\nContent-Length: 999\r\n\r\n",
}


@pytest.fixture(scope="module")
def configuration(raw_upstream: RawUpstream) -> Snapshot:
    return every_format(raw_upstream.port)


def request(key: str) -> bytes:
    headers = [("Host", "localhost"), ("x-api-key", key), ("Content-Length", str(len(BODY)))]
    return raw.request("POST", "/v1/messages", headers, BODY)


def ask(proxy: Running, key: str) -> tuple[raw.Answer, FlowRecord]:
    count = len(proxy.sink.records)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S) as client:
        client.sendall(request(key))
        answer = raw.read_answer(client)
    return answer, proxy.sink.wait(count + 1)


def sides_of(record: FlowRecord) -> dict[str, SideRecord]:
    return {side.side: side for side in record.sides}


@pytest.mark.parametrize("ending", ["close", "reset"])
@pytest.mark.parametrize("head", HEADS)
def test_a_held_response_that_is_cut(
    proxy: Running, raw_upstream: RawUpstream, head: str, ending: str
) -> None:
    steps: list[Step] = [HEADS[head] + PART, 0.05]
    raw_upstream.steps = lambda: [*steps, *(["reset"] if ending == "reset" else [])]
    answer, record = ask(proxy, "sk-ccproxy-chat")
    assert answer.status == 502
    sides = sides_of(record)
    delivered, upstream = sides["delivered"], sides["upstream"]
    assert (delivered.status_code, delivered.body) == (502, answer.body)
    assert list(delivered.headers) == answer.headers
    # What came of the provider's response is kept as it came.
    assert upstream.body == PART
    assert upstream.body_size_bytes == len(PART)
    assert upstream.status_code == (429 if head == "an error" else 200)
    assert (record.state, record.status_code) == ("error", 502)


def test_a_provider_without_a_response_has_no_status(
    proxy: Running, raw_upstream: RawUpstream
) -> None:
    raw_upstream.steps = list
    answer, record = ask(proxy, "sk-ccproxy-chat")
    sides = sides_of(record)
    assert sorted(sides) == ["client", "delivered", "forwarded"]
    assert (sides["delivered"].status_code, sides["delivered"].body) == (502, answer.body)
    assert record.status_code is None


def test_a_client_that_left_got_nothing(proxy: Running, raw_upstream: RawUpstream) -> None:
    raw_upstream.steps = lambda: [HEADS["length"] + PART, "hang"]
    count, asked = len(proxy.sink.records), len(raw_upstream.requests)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S) as client:
        client.sendall(request("sk-ccproxy-chat"))
        wait_for_response_head(proxy)
        assert len(raw_upstream.requests) == asked + 1
    record = proxy.sink.wait(count + 1)
    assert "Client disconnected" in record.error
    assert sorted(sides_of(record)) == ["client", "forwarded", "upstream"]


def wait_for_response_head(proxy: Running) -> None:
    """Wait until a running flow has the head of its response."""

    async def begun() -> bool:
        running: Any = proxy.proxy._chain.record._active.values()
        return any(state.upstream is not None for _, state in running)

    while not proxy.on_loop(begun()):
        pass


def test_a_request_that_is_refused_is_delivered_as_recorded(proxy: Running) -> None:
    answer = httpx.post(f"{proxy.url}/v1/messages", content=b"{}", headers={"x-api-key": "none"})
    [side] = [side for side in proxy.sink.of(answer).sides if side.side == "delivered"]
    assert (side.status_code, side.body) == (answer.status_code, answer.content)
