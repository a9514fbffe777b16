"""The scripted upstream keeps what a test relies on."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.fakes.certificates import make_authority
from tests.fakes.http2 import Http2Upstream
from tests.fakes.upstream import Script, Upstream, sse
from tests.sockets import read_exactly


def test_requests_are_kept_byte_for_byte_and_answers_scripted() -> None:
    events = (b"data: 1\n\n", b"data: 2\n\n")
    with Upstream() as upstream:
        upstream.scripts["/x"] = sse(*events)
        with socket.create_connection(("127.0.0.1", upstream.port)) as client:
            client.sendall(
                b"POST /x?y=1 HTTP/1.1\r\nHoSt: a\r\nTransfer-Encoding:"
                b" chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            )
            assert read_exactly(client, 9) == b"HTTP/1.1 "
        assert upstream.last.head.startswith(b"POST /x?y=1 HTTP/1.1\r\nHoSt: a\r\n")
        assert (upstream.last.path, upstream.last.body, upstream.last.header("host")) == (
            "/x",
            b"abc",
            "a",
        )
        assert httpx.get(f"http://127.0.0.1:{upstream.port}/x").content == b"".join(events)
        assert [piece for _, piece in upstream.last.sent] == list(events)


def test_resets_and_demanded_keys() -> None:
    with Upstream(key="right-key") as upstream:
        upstream.scripts["/reset"] = Script(reset_after=0)
        upstream.scripts["/cut"] = sse(b"data: 1\n\n", b"data: 2\n\n", reset_after=1)
        base = f"http://127.0.0.1:{upstream.port}"
        for path in ("/reset", "/cut"):
            with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
                httpx.get(base + path)
        assert httpx.get(f"{base}/health").status_code == 401
        assert httpx.get(f"{base}/health", headers={"x-api-key": "right-key"}).status_code == 200


def test_websockets_are_echoed() -> None:
    with Upstream() as upstream:
        upstream.scripts["/v1/responses"] = Script(echo=True)
        with connect(f"ws://127.0.0.1:{upstream.port}/v1/responses", proxy=None) as client:
            for text in ("short", "x" * 70_000):
                client.send(text)
                assert client.recv() == text
        assert upstream.last.messages[0] == "short"


@pytest.mark.parametrize(("http2", "version"), [(True, "HTTP/2"), (False, "HTTP/1.1")])
def test_tls_with_either_protocol(tmp_path: Path, http2: bool, version: str) -> None:
    authority = make_authority(tmp_path)
    with Http2Upstream(authority.server_context(["h2", "http/1.1"])) as upstream:
        trust = ssl.create_default_context(cafile=str(authority.ca_file))
        with httpx.Client(http2=http2, verify=trust) as client:
            reply = client.post(
                f"https://localhost:{upstream.port}/v1/messages", json={"model": "demo"}
            )
        assert (reply.http_version, reply.json()["type"]) == (version, "message")
        assert (upstream.last.version, upstream.last.json) == (version, {"model": "demo"})
