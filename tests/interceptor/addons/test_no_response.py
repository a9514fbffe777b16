"""Statuses without a response, in the place of one that is to be translated."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from interceptor.config.snapshot.schema import Snapshot
from tests.e2e import raw
from tests.fakes.raw_upstream import RawUpstream
from tests.interceptor.mitm.bad_upstream_checks import check_delivered, every_format
from tests.interceptor.proxied import Running
from tests.patience import PATIENCE_S

LABELS = ["", "text/event-stream", "application/json", "text/html"]
REDIRECTS = [301, 302, 303, 307, 308]
BODY = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"stream":%s}'


@pytest.fixture(scope="module")
def configuration(raw_upstream: RawUpstream) -> Snapshot:
    return every_format(raw_upstream.port)


def response(status: int, label: str, body: bytes) -> bytes:
    lines = [
        f"HTTP/1.1 {status} X",
        "Connection: close",
        *([f"Content-Type: {label}"] if label else []),
    ]
    if status not in (204, 304):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def ask(proxy: Running, *, stream: bool) -> raw.Answer:
    """Send a request as the last one of its connection; nothing may follow its response."""
    body = BODY % (b"true" if stream else b"false")
    headers = [("Host", "localhost"), ("x-api-key", "sk-ccproxy-chat")]
    headers.append(("Content-Length", str(len(body))))
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S) as client:
        client.sendall(raw.request("POST", "/v1/messages", headers, body))
        client.shutdown(socket.SHUT_WR)
        answer = raw.read_answer(client)
        assert client.recv(1) == b""
    return answer


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("status", [204, 205, 300, 304, *REDIRECTS])
def test_it_is_an_error_of_which_nothing_is_left_over(
    proxy: Running, raw_upstream: RawUpstream, status: int, label: str, stream: bool
) -> None:
    raw_upstream.steps = lambda: [response(status, label, b"")]
    count = len(proxy.sink.records)
    answer = ask(proxy, stream=stream)
    assert (answer.status, answer.complete) == (502, True)
    message: Any = answer.json["error"]["message"]
    assert f"status {status} instead of a response" in message
    assert ("redirect" in message) == (status in REDIRECTS)
    record = proxy.sink.wait(count + 1)
    assert record.state == "error"
    assert "instead of a response" in record.error
    check_delivered(record, answer)
    assert next(side for side in record.sides if side.side == "upstream").status_code == status


def test_the_providers_words_are_kept(proxy: Running, raw_upstream: RawUpstream) -> None:
    raw_upstream.steps = lambda: [response(302, "text/html", b"<html><p>log in first</p></html>")]
    answer = ask(proxy, stream=True)
    assert "log in first" in answer.json["error"]["message"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("label", LABELS)
def test_an_empty_body_is_an_error(
    proxy: Running, raw_upstream: RawUpstream, label: str, stream: bool
) -> None:
    raw_upstream.steps = lambda: [response(200, label, b"")]
    count = len(proxy.sink.records)
    answer = ask(proxy, stream=stream)
    assert (answer.status, answer.json["type"]) == (502, "error")
    record = proxy.sink.wait(count + 1)
    assert record.state == "error"
    check_delivered(record, answer)
