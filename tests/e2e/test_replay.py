"""Every recorded request of real clients reaches the provider as the client sent it, credential
apart.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.e2e import raw
from tests.e2e.conftest import REAL_KEY
from tests.e2e.process import Interceptor
from tests.fakes.upstream import Script, Seen, Upstream

pytestmark = pytest.mark.corpus

AUTH = {"x-api-key", "authorization", "x-goog-api-key", "api-key"}
UNLIKE = {*AUTH, "host", "content-length"}
Headers = list[tuple[str, str]]


def recorded(corpus: Path) -> list[tuple[str, dict[str, Any]]]:
    """(file name, request) of everything that was recorded."""
    files = sorted((corpus / "clients").glob("*.json"))
    return [(path.name, request) for path in files for request in json.loads(path.read_bytes())]


def with_sentinel(headers: list[list[str]], port: int, body: bytes) -> Headers:
    """The recorded headers with a sentinel key where the redacted key stood."""
    made: Headers = []
    for name, recorded_value in headers:
        value = " ".join(
            recorded_value.split()
        )  # long values were replaced by filler of several lines
        match name.lower():
            case "authorization":
                value = f"{value.split()[0]} sk-ccproxy-up"
            case "x-api-key" | "x-goog-api-key" | "api-key":
                value = (
                    "sk-ant-oat-ccproxy-up"
                    if value.startswith("sk-ant-oat")
                    else "sk-ant-api03-ccproxy-up"
                )
            case "host":
                value = f"127.0.0.1:{port}"
            case "content-length":
                value = str(len(body))
        made.append((name, value))
    return made


def body_of(request: dict[str, Any]) -> bytes:
    """The recorded body, spaced as no JSON library would write it by itself."""
    body = request["body"]
    if isinstance(body, str):
        return body.encode()
    return json.dumps(body, ensure_ascii=False, separators=(" ,", ":")).encode()


def plain(headers: Headers) -> Headers:
    """Headers that must arrive as they were sent, in their order."""
    return [(name, value) for name, value in headers if name.lower() not in UNLIKE]


def check_arrived(seen: Seen, method: str, target: str, headers: Headers, body: bytes) -> None:
    assert (seen.method, seen.target, seen.version) == (method, target, "HTTP/1.1")
    assert seen.body == body
    assert plain(seen.headers) == plain(headers)
    assert [n.lower() for n, _ in seen.headers].count("content-length") == bool(
        seen.header("content-length")
    )
    assert {n.lower(): v for n, v in seen.headers if n.lower() in AUTH} == {
        "authorization": f"Bearer {REAL_KEY}"
    }
    assert b"ccproxy" not in seen.head.lower()


def test_every_recorded_request(upstream: Upstream, interceptor: Interceptor, corpus: Path) -> None:
    sent = 0
    for name, request in recorded(corpus):
        if "ws_from_client" in request or request["method"] == "HEAD":
            continue
        body = body_of(request)
        headers = with_sentinel(request["headers"], interceptor.port, body)
        data = raw.request(request["method"], request["path"], headers, body)
        answer = raw.exchange(interceptor.port, data)
        sent += 1
        assert (answer.status, answer.complete) == (200, True), (name, answer.body[:300])
        assert len(upstream.requests) == sent, name
        check_arrived(upstream.last, request["method"], request["path"], headers, body)
    assert sent >= 100


def test_answers_are_byte_identical(
    upstream: Upstream, interceptor: Interceptor, corpus: Path
) -> None:
    for name, request in recorded(corpus)[::7]:
        if "ws_from_client" in request or request["method"] == "HEAD":
            continue
        body = body_of(request)
        headers = with_sentinel(request["headers"], interceptor.port, body)
        answer = raw.exchange(
            interceptor.port, raw.request(request["method"], request["path"], headers, body)
        )
        assert answer.body == b"".join(piece for _, piece in upstream.last.sent), name


def test_a_probe_without_a_key_is_answered_here(
    upstream: Upstream, interceptor: Interceptor, corpus: Path
) -> None:
    probes = [request for _, request in recorded(corpus) if request["method"] == "HEAD"]
    assert probes
    for request in probes:
        headers = with_sentinel(request["headers"], interceptor.port, b"")
        assert (
            raw.exchange(interceptor.port, raw.request("HEAD", request["path"], headers)).status
            == 200
        )
    assert upstream.requests == []


def test_recorded_websockets(upstream: Upstream, interceptor: Interceptor, corpus: Path) -> None:
    upstream.scripts["/v1/responses"] = Script(echo=True)
    found = [request for _, request in recorded(corpus) if "ws_from_client" in request]
    assert found
    for request in found:
        messages = [json.dumps(message["body"]) for message in request["ws_from_client"]]
        headers = with_sentinel(request["headers"], interceptor.port, b"")
        own = [
            h
            for h in headers
            if not h[0].lower().startswith(("sec-websocket", "host", "connection", "upgrade"))
        ]
        url = f"ws://127.0.0.1:{interceptor.port}{request['path']}"
        with connect(
            url, additional_headers=own, user_agent_header=None, proxy=None, max_size=None
        ) as client:
            for message in messages:
                client.send(message)
                assert client.recv() == message
        seen = upstream.last
        assert seen.messages == messages
        assert seen.header("authorization") == f"Bearer {REAL_KEY}"
        assert b"ccproxy" not in seen.head.lower()
        for header, value in own:
            assert header.lower() in AUTH or seen.header(header) == value
