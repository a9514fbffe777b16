"""Failures inside of websockets, through the real proxy: recorded as failed, forwarded as they are."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from flows.record import FlowRecord
from tests.interceptor.proxied import Running, provider, running_proxy, snapshot
from tests.patience import PATIENCE_S

WORDS = "the gpu fell off"
ERROR = {"type": "server_error", "code": "x", "message": WORDS}
DELTA = {"type": "response.output_text.delta", "output_index": 0, "delta": "part"}
COMPLETED = {"type": "response.completed", "response": {"status": "completed", "error": None}}
FAILURES = {
    "error": {"type": "error", "status": 429, "error": ERROR},
    "flat": {"type": "error", "message": WORDS},
    "failed": {"type": "response.failed", "response": {"status": "failed", "error": ERROR}},
    "incomplete": {"type": "response.incomplete", "response": {"error": ERROR}},
    "realtime": {
        "type": "response.done",
        "response": {"status": "failed", "status_details": {"error": ERROR}},
    },
}


class _Server:
    """A provider that answers each message with a list of messages, then perhaps closes."""

    def __init__(self) -> None:
        self.replies: list[str | bytes] = []
        self.close: tuple[int, str] | None = None
        self._server = serve(self._talk, "127.0.0.1", 0, compression=None)
        self.port = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def _talk(self, connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            for _ in connection:
                for reply in self.replies:
                    connection.send(reply)
                if self.close is not None:
                    connection.close(*self.close)
                    return

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join(PATIENCE_S)


@pytest.fixture(scope="module")
def server() -> Iterator[_Server]:
    server = _Server()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def proxy(server: _Server) -> Iterator[Running]:
    made = provider("oai", server.port, type="openai_responses", path="/v1/responses")
    with running_proxy(snapshot(made)) as proxy:
        yield proxy


@contextmanager
def opened(proxy: Running, path: str) -> Iterator[Any]:
    headers = {"authorization": "Bearer sk-ccproxy-oai"}
    url = f"ws://127.0.0.1:{proxy.port}{path}"
    with connect(url, additional_headers=headers, compression=None, proxy=None) as client:
        yield client


def talk(
    proxy: Running, server: _Server, *replies: Any, path: str = "/v1/responses"
) -> tuple[FlowRecord, list[str | bytes]]:
    """Send one message, read the replies, close; return the record and what the client read."""
    server.replies = [json.dumps(reply) for reply in replies]
    known = len(proxy.sink.records)
    with opened(proxy, path) as client:
        client.send('{"type":"response.create"}')
        read = [client.recv(PATIENCE_S) for _ in replies]
        if server.close is not None:
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(PATIENCE_S)
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == server.close
    return proxy.sink.wait(known + 1), read


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/realtime?model=m"])
@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_in_a_message(proxy: Running, server: _Server, name: str, path: str) -> None:
    record, read = talk(proxy, server, DELTA, FAILURES[name], DELTA, path=path)
    assert read == server.replies
    assert record.is_websocket
    assert (record.state, record.error, record.status_code) == ("error", WORDS, 101)


def test_a_later_success_does_not_hide_it(proxy: Running, server: _Server) -> None:
    record, _ = talk(proxy, server, FAILURES["failed"], COMPLETED)
    assert (record.state, record.error) == ("error", WORDS)


def test_the_first_failure_names_it(proxy: Running, server: _Server) -> None:
    other = {"type": "error", "message": "another"}
    record, _ = talk(proxy, server, FAILURES["error"], other)
    assert record.error == WORDS


def test_a_good_conversation_is_none(proxy: Running, server: _Server) -> None:
    record, _ = talk(proxy, server, DELTA, COMPLETED)
    assert (record.state, record.error) == ("done", "")


def test_words_of_the_client_are_none(proxy: Running, server: _Server) -> None:
    server.replies = [json.dumps(COMPLETED)]
    known = len(proxy.sink.records)
    with opened(proxy, "/v1/responses") as client:
        client.send(json.dumps(FAILURES["error"]))
        client.recv(PATIENCE_S)
    assert proxy.sink.wait(known + 1).state == "done"


@pytest.mark.parametrize(
    ("close", "error"),
    [
        ((1011, WORDS), WORDS),
        ((4008, ""), "The provider closed the websocket with code 4008."),
        ((1000, "bye"), ""),
        ((1001, ""), ""),
    ],
)
def test_a_failure_as_a_close(
    proxy: Running, server: _Server, close: tuple[int, str], error: str
) -> None:
    server.close = close
    try:
        record, _ = talk(proxy, server, DELTA)
    finally:
        server.close = None
    assert (record.state, record.error) == ("error" if error else "done", error)
