"""Cuts at every moment of a request that fails, waits, and goes to another provider.

At each moment the client leaves, the proxy stops, or the provider closes its connection. Whatever
is cut where: the flow is recorded once, no more is sent to providers after a client left, and no
client sees two responses begin.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from flows.record import FlowRecord
from interceptor.proxy import STOPPED
from providers.auth.base import CommandAuth
from providers.fallbacks import parse_fallbacks
from providers.retry_policy import RetryPolicy
from tests.interceptor.addons.stages import (
    BUSY,
    BUSY_FOR_AN_HOUR,
    EVENT,
    GOOD,
    HALF_BUSY,
    STREAM,
    Act,
    Do,
    Stage,
)
from tests.interceptor.proxied import Running, provider, running_proxy, snapshot
from tests.patience import PATIENCE_S

ASK = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hello"}]}


@dataclass(frozen=True)
class Moment:
    """A point in the life of a request: what the providers do until there."""

    main: tuple[Act, ...]
    backup: tuple[Act, ...] = (GOOD,)
    sent: tuple[int, int, int] = (1, 0, 0)
    """Requests that main, backup and third have got by then."""
    waits: bool = False
    prepares: bool = False
    streams: bool = False

    @property
    def paused(self) -> int | None:
        """The provider that pauses then: 0 or 1."""
        if Do.PAUSE in self.main:
            return 0
        return 1 if Do.PAUSE in self.backup else None


MOMENTS = {
    "the first is silent": Moment((Do.PAUSE,)),
    "within the first one's error": Moment((HALF_BUSY, Do.PAUSE)),
    "in the wait": Moment((BUSY_FOR_AN_HOUR,), waits=True),
    "while the second is prepared": Moment((BUSY,), prepares=True),
    "the second is silent": Moment((BUSY,), (Do.PAUSE,), (1, 1, 0)),
    "within the second one's error": Moment((BUSY,), (HALF_BUSY, Do.PAUSE), (1, 1, 0)),
    "in the second one's stream": Moment((BUSY,), (STREAM, Do.PAUSE), (1, 1, 0), streams=True),
}
CLOSED = {name: moment for name, moment in MOMENTS.items() if moment.paused is not None}


@dataclass
class Walk:
    """A client whose request has come to the moment."""

    proxy: Running
    stages: list[Stage]
    client: socket.socket
    fifo: Path
    received: bytes = field(default=b"")

    def sent(self) -> tuple[int, ...]:
        return tuple(stage.request_count for stage in self.stages)

    def read_all(self) -> bytes:
        """Everything that the client gets until its connection closes, or a response is complete."""
        while data := self.client.recv(65536):
            self.received += data
            if self.received.endswith((b'{"ok":true}', b"0\r\n\r\n")):
                break
        return self.received

    def record(self) -> FlowRecord:
        """The flow's record, of which there is one."""
        found = self.proxy.sink.wait(1)
        assert len(self.proxy.sink.records) == 1
        return found


@pytest.fixture
def walk(tmp_path: Path, decided: threading.Event) -> Callable[[Moment], Any]:
    @contextmanager
    def begin(moment: Moment) -> Iterator[Walk]:
        fifo = tmp_path / "key"
        os.mkfifo(fifo)
        with ExitStack() as stack:
            acts = (moment.main, moment.backup, (GOOD,))
            stages = [stack.enter_context(Stage(*each)) for each in acts]
            main, backup, third = (stage.port for stage in stages)
            more: dict[str, Any] = {}
            if moment.waits:
                more["retry"] = RetryPolicy(3, budget_s=3600.0)
            slow = {"auth": CommandAuth(command=f"cat {fifo}")} if moment.prepares else {}
            config = snapshot(
                provider("main", main, fallbacks=parse_fallbacks(["backup", "third"]), **more),
                provider("backup", backup, **slow),
                provider("third", third),
            )
            proxy = stack.enter_context(running_proxy(config))
            address = ("127.0.0.1", proxy.port)
            client = stack.enter_context(socket.create_connection(address, PATIENCE_S))
            client.sendall(raw_request())
            found = Walk(proxy, stages, client, fifo)
            reach(moment, found, decided)
            yield found

    return begin


def raw_request() -> bytes:
    body = json.dumps({**ASK, "stream": True}).encode()
    head = "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nx-api-key: sk-ccproxy-main\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def reach(moment: Moment, walk: Walk, decided: threading.Event) -> None:
    """Return once the request is at the moment."""
    if moment.waits:
        assert decided.wait(PATIENCE_S)
    elif moment.prepares:
        os.close(reader_of(walk.fifo))
    else:
        assert moment.paused is not None
        assert walk.stages[moment.paused].is_paused.wait(PATIENCE_S)
    while moment.streams and EVENT not in walk.received:
        walk.received += walk.client.recv(65536)
    assert walk.sent() == moment.sent


def reader_of(fifo: Path) -> int:
    """Open the pipe for writing, once the credential's command reads it."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as exc:
            assert exc.errno == errno.ENXIO and time.monotonic() < deadline
            time.sleep(0.01)


def is_one_response(received: bytes) -> bool:
    return received.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("name", MOMENTS)
def test_the_client_leaves(walk: Callable[[Moment], Any], name: str) -> None:
    moment = MOMENTS[name]
    with walk(moment) as at:
        at.client.close()
        record = at.record()
        assert record.state == "error" and "disconnected" in record.error.lower()
        assert at.sent() == moment.sent, "nothing is sent for a client that left"


@pytest.mark.parametrize("name", MOMENTS)
def test_the_proxy_stops(walk: Callable[[Moment], Any], name: str) -> None:
    moment = MOMENTS[name]
    with walk(moment) as at, ThreadPoolExecutor(1) as pool:
        reading = pool.submit(at.read_all)
        at.proxy.stop(0.0)
        received = reading.result(PATIENCE_S)
        assert is_one_response(received)
        head, _, body = received.partition(b"\r\n\r\n")
        if moment.streams:
            assert head.startswith(b"HTTP/1.1 200") and b"event: error" in body
        else:
            assert head.startswith(b"HTTP/1.1 503")
            assert STOPPED in json.loads(body)["error"]["message"]
        assert at.record().state == "error"
        assert at.sent() == moment.sent


@pytest.mark.parametrize("name", CLOSED)
def test_the_provider_closes(walk: Callable[[Moment], Any], name: str) -> None:
    moment = MOMENTS[name]
    with walk(moment) as at:
        at.stages[moment.paused or 0].go_on(Do.CLOSE)
        received = at.read_all()
        assert is_one_response(received)
        main, backup, third = moment.sent
        if moment.streams:
            # A client that saw a response begin gets no other one.
            assert b"event: error" in received and at.sent() == moment.sent
        else:
            assert received.endswith(b'{"ok":true}')
            assert at.sent() == ((main, 1, 0) if moment.paused == 0 else (main, backup, third + 1))
        assert at.record().state == ("error" if moment.streams else "done")


def test_a_failure_that_is_too_long_to_be_held_passes(walk: Callable[[Moment], Any]) -> None:
    size = 1024 * 1024 + 10
    head = BUSY.replace(b"content-length: 2", b"content-length: %d" % size)[:-2]
    with walk(Moment((head + b"x" * (size - 1), Do.PAUSE))) as at:
        at.stages[0].go_on(b"}")
        while not at.received.endswith(b"}"):
            at.received += at.client.recv(65536)
        assert at.received.startswith(b"HTTP/1.1 503")
        assert at.record().status_code == 503
        assert at.sent() == (1, 0, 0)


def test_a_new_configuration_in_the_middle_changes_nothing(walk: Callable[[Moment], Any]) -> None:
    """A flow goes on with the candidates that it began with."""
    with walk(MOMENTS["within the first one's error"]) as at:
        at.proxy.store.replace(snapshot())
        at.stages[0].go_on(b" " * 18)
        assert at.read_all().endswith(b'{"ok":true}')
        assert at.sent() == (1, 1, 0)
        assert at.record().provider == "backup"
