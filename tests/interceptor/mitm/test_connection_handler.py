"""Connections without a task for each event: few system calls, no waiting for another's addon,
nothing left over.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from mitmproxy.http import HTTPFlow

from interceptor.operate.stock import stock_from
from providers.auth.base import CommandAuth
from tests.e2e import raw
from tests.fakes.raw_upstream import GOOD, RawUpstream
from tests.fakes.upstream import Upstream, sse
from tests.interceptor.proxied import KEY, Running, provider, running_proxy, snapshot
from tests.patience import PATIENCE_S
from tests.sockets import read_until

needs_fast_handler = pytest.mark.skipif(
    "speed" in stock_from(os.environ),
    reason="CCPROXY_STOCK=speed leaves out the connection handler that this is about",
)
REQUESTS = 12
BODY = b'{"model":"m","max_tokens":5,"messages":[]}'
MANY_BYTES = os.urandom(3 * 1024 * 1024)


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "gate"


@pytest.fixture
def proxy(upstream: Upstream, raw_upstream: RawUpstream, gate: Path) -> Iterator[Running]:
    late = CommandAuth(
        command=f"while [ ! -e '{gate}' ]; do sleep 0.02; done; echo late-token-0001",
        header="x-api-key",
    )
    config = snapshot(
        provider("up", upstream.port),
        provider("late", upstream.port, auth=late),
        provider("broken", raw_upstream.port),
        provider("chat", raw_upstream.port, type="openai", path="/v1/chat/completions"),
    )
    with running_proxy(config) as running:
        yield running


def ask(
    proxy: Running, name: str = "up", path: str = "/v1/messages", body: bytes = BODY
) -> httpx.Response:
    headers = {"x-api-key": f"sk-ccproxy-{name}", "content-type": "application/json"}
    return httpx.post(f"{proxy.url}{path}", content=body, headers=headers, timeout=PATIENCE_S)


def add(proxy: Running, addon: object) -> None:
    async def register() -> None:
        addons: Any = proxy.proxy._master.addons
        addons.add(addon)

    proxy.on_loop(register())


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bytes]]:
    """(port of the other side, bytes) of everything that the proxy writes to a connection."""
    seen: list[tuple[int, bytes]] = []
    write = asyncio.StreamWriter.write

    def note(self: asyncio.StreamWriter, data: bytes) -> None:
        seen.append((self.get_extra_info("peername")[1], bytes(data)))
        write(self, data)

    monkeypatch.setattr(asyncio.StreamWriter, "write", note)
    return seen


@needs_fast_handler
def test_head_and_body_leave_in_one_piece(
    proxy: Running, raw_upstream: RawUpstream, written: list[tuple[int, bytes]]
) -> None:
    raw_upstream.steps, raw_upstream.reads_first = lambda: [GOOD], True
    headers = [
        ("Host", "localhost"),
        ("x-api-key", "sk-ccproxy-broken"),
        ("Content-Length", str(len(BODY))),
    ]
    with raw.connection(proxy.port) as client:
        own_port = client.getsockname()[1]
        client.sendall(raw.request("POST", "/v1/messages", headers, BODY))
        answer = read_until(client, b"\r\n\r\n{}")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"\r\n\r\n{}")
    assert raw_upstream.requests[-1].endswith(b"\r\n\r\n" + BODY)
    assert [data for port, data in written if port == raw_upstream.port] == [
        raw_upstream.requests[-1]
    ]
    assert [data for port, data in written if port == own_port] == [answer]


def test_others_are_served_while_a_credential_is_fetched(
    proxy: Running, upstream: Upstream, gate: Path
) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, proxy, "late")
        try:
            for _ in range(3):
                assert ask(proxy).status_code == 200
                assert upstream.last.header("x-api-key") == KEY
            assert not waiting.done()
        finally:
            gate.touch()
        answer = waiting.result(PATIENCE_S)
    assert answer.status_code == 200 and answer.json()["type"] == "message"
    assert upstream.last.header("x-api-key") == "late-token-0001" and upstream.last.body == BODY


class Held:
    """An addon that holds every flow of one path until it is let go."""

    def __init__(self) -> None:
        self.came, self.go = threading.Event(), threading.Event()

    async def request(self, flow: HTTPFlow) -> None:
        if flow.request.path == "/v1/messages/held":
            self.came.set()
            await asyncio.to_thread(self.go.wait, PATIENCE_S)


def test_others_are_served_while_an_addon_waits(proxy: Running, upstream: Upstream) -> None:
    held = Held()
    add(proxy, held)
    upstream.scripts["/v1/messages/held"] = sse(b"data: 1\n\n", b"data: 2\n\n")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, proxy, "up", "/v1/messages/held")
        try:
            assert held.came.wait(PATIENCE_S)
            assert ask(proxy).status_code == 200
            assert upstream.last.path == "/v1/messages" and not waiting.done()
        finally:
            held.go.set()
        assert waiting.result(PATIENCE_S).content == b"data: 1\n\ndata: 2\n\n"


class Slow:
    """An addon that waits at every step of a flow."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    async def _wait(self, step: str) -> None:
        await asyncio.sleep(0.01)
        self.steps.append(step)

    async def requestheaders(self, _: HTTPFlow) -> None:
        await self._wait("requestheaders")

    async def request(self, _: HTTPFlow) -> None:
        await self._wait("request")

    async def responseheaders(self, _: HTTPFlow) -> None:
        await self._wait("responseheaders")

    async def response(self, _: HTTPFlow) -> None:
        await self._wait("response")


def test_every_step_may_wait(proxy: Running, upstream: Upstream) -> None:
    slow, events = Slow(), [b"data: %d\n\n" % number for number in range(20)]
    add(proxy, slow)
    upstream.scripts["/v1/messages/slow"] = sse(*events)
    headers = {"x-api-key": "sk-ccproxy-up"}
    with httpx.Client(base_url=proxy.url, headers=headers, timeout=PATIENCE_S) as client:
        for _ in range(2):
            answer = client.post("/v1/messages/slow", content=MANY_BYTES)
            assert answer.content == b"".join(events)
            assert upstream.last.body == MANY_BYTES
            proxy.sink.of(answer)
    assert slow.steps == ["requestheaders", "request", "responseheaders", "response"] * 2


@needs_fast_handler
def test_a_finished_flow_leaves_no_work_for_the_collector(
    proxy: Running, upstream: Upstream
) -> None:
    upstream.scripts["/v1/messages/stream"] = sse(
        *[b"data: %d\n\n" % number for number in range(5)]
    )
    headers = {"x-api-key": "sk-ccproxy-up"}
    gc.collect()
    gc.disable()
    try:
        with httpx.Client(base_url=proxy.url, headers=headers, timeout=PATIENCE_S) as client:
            for number in range(REQUESTS):
                path = "/v1/messages" if number % 2 else "/v1/messages/stream"
                proxy.sink.of(client.post(path, content=BODY))
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        garbage = sum(type(each) is HTTPFlow for each in gc.garbage)
        alive = sum(type(each) is HTTPFlow for each in gc.get_objects()) - garbage
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert garbage == 0
    assert alive < REQUESTS


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_upload_arrives_byte_for_byte(
    proxy: Running, upstream: Upstream, chunked: bool
) -> None:
    def pieces() -> Iterator[bytes]:
        for start in range(0, len(MANY_BYTES), 70_001):
            yield MANY_BYTES[start : start + 70_001]

    headers = {"x-api-key": "sk-ccproxy-up", "content-type": "application/octet-stream"}
    content = pieces() if chunked else MANY_BYTES
    answer = httpx.post(
        f"{proxy.url}/v1/messages", content=content, headers=headers, timeout=PATIENCE_S
    )
    assert answer.status_code == 200, answer.text
    assert upstream.last.path == "/v1/messages" and upstream.last.body == MANY_BYTES
    record = proxy.sink.of(answer)
    assert [side.body for side in record.sides if side.side in ("client", "forwarded")] == [
        MANY_BYTES
    ] * 2


class Together:
    """An addon that ends no flow's error before two of them have come."""

    def __init__(self) -> None:
        self._both = asyncio.Barrier(2)

    async def error(self, _: HTTPFlow) -> None:
        await asyncio.wait_for(self._both.wait(), PATIENCE_S)


@pytest.mark.parametrize("wait", [False, True])
def test_errors_at_the_same_time_are_told_to_each_caller_in_its_own_format(
    wait: bool, proxy: Running, raw_upstream: RawUpstream
) -> None:
    raw_upstream.steps, raw_upstream.reads_first = lambda: ["reset"], True
    if wait:
        add(proxy, Together())
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, proxy, "broken")
        second = pool.submit(ask, proxy, "chat", "/v1/chat/completions")
        answers = first.result(PATIENCE_S), second.result(PATIENCE_S)
    assert [answer.status_code for answer in answers] == [502, 502]
    anthropic, openai = (answer.json() for answer in answers)
    assert anthropic["type"] == "error" and "provider broken (" in anthropic["error"]["message"]
    assert "type" not in openai and "provider chat (" in openai["error"]["message"]
    records = [proxy.sink.of(answer) for answer in answers]
    assert [(record.provider, record.state) for record in records] == [
        ("broken", "error"),
        ("chat", "error"),
    ]
