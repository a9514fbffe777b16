"""Providers that close their connection behind each response, and clients that keep theirs."""

from __future__ import annotations

import socket

import pytest

from interceptor.config.snapshot.schema import Snapshot
from tests.e2e import raw
from tests.fakes.raw_upstream import RawUpstream
from tests.interceptor.mitm.bad_upstream_checks import every_format
from tests.interceptor.proxied import Running
from tests.patience import PATIENCE_S

REQUESTS = 8
"""More than mitmproxy opens to one provider for one client's connection."""
BODY = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]%s}'
STREAM = (
    b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n'
)
WHOLE = b'{"id":"c","choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}]}'
RESPONSES = {
    "a stream": (200, "Content-Type: text/event-stream", STREAM),
    "a body": (200, "Content-Type: application/json", WHOLE),
    "an unnamed body": (200, "X-Other: 1", WHOLE),
    "an error as a stream": (429, "Content-Type: text/event-stream", STREAM),
}


@pytest.fixture(scope="module")
def configuration(raw_upstream: RawUpstream) -> Snapshot:
    return every_format(raw_upstream.port)


def ask(client: socket.socket, key: str, *, stream: bool) -> raw.Answer:
    body = BODY % (b',"stream":true' if stream else b"")
    path = "/v1/messages" if key == "translated" else "/v1/chat/completions"
    headers = [("Host", "localhost"), ("x-api-key", "sk-ccproxy-chat")]
    headers.append(("Content-Length", str(len(body))))
    client.sendall(raw.request("POST", path, headers, body))
    return raw.read_answer(client)


@pytest.mark.parametrize("key", ["native", "translated"])
@pytest.mark.parametrize("name", RESPONSES)
def test_a_connection_takes_any_number_of_requests(
    proxy: Running, raw_upstream: RawUpstream, name: str, key: str
) -> None:
    status, header, body = RESPONSES[name]
    # Without a length the body ends where the connection does (RFC 9112, 6.3).
    head = f"HTTP/1.1 {status} X\r\n{header}\r\n\r\n".encode()
    raw_upstream.steps = lambda: [head, body]
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S) as client:
        for _ in range(REQUESTS):
            answer = ask(client, key, stream="stream" in name)
            assert (answer.status, answer.complete) == (status, True)
            assert key == "translated" or answer.body == body
