"""Errors that mitmproxy itself answers: JSON of the client's format, readable by a listed origin.

The same over HTTP/1.1, HTTP/2 in TLS, and HTTP/2 with prior knowledge.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from interceptor.access.caller_rules import guard_rules
from tests.fakes.http2_client import ask_h2
from tests.fakes.upstream import Script, Upstream
from tests.interceptor.proxied import Running, provider, running_proxy, snapshot
from tests.interceptor.wireguard.world import talk
from tests.patience import PATIENCE_S

ORIGIN = "app://obsidian.md"
PATHS = {
    "/v1/messages": "anthropic",
    "/v1/chat/completions": "openai",
    "/v1/responses": "openai",
    "/v1beta/models/m:generateContent": "google",
}
FAILURES = ["down", "reset", "nonsense", "too-large", "silent"]
STATUS = {"too-large": 413, "silent": 504}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def over_http1(port: int, path: str, headers: dict[str, str], body: bytes) -> Answer:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n{lines}"
        head += f"content-length: {len(body)}\r\n\r\n"
        raw = talk(connection, head.encode() + body)
    top, _, content = raw.partition(b"\r\n\r\n")
    first, *fields = top.decode().split("\r\n")
    found = dict(field.split(": ", 1) for field in fields)
    named = {name.lower(): value for name, value in found.items()}
    return Answer(int(first.split()[1]), named, content)


def over_http2(
    connection: socket.socket, port: int, path: str, headers: dict[str, str], body: bytes
) -> Answer:
    fields = [
        (":method", "POST"), (":scheme", "https"), (":authority", f"127.0.0.1:{port}"),
        (":path", path), *headers.items(), ("content-length", str(len(body))),
    ]  # fmt: skip
    found = ask_h2(connection, fields, body)
    return Answer(found.status, found.headers, found.body)


def over_tls(port: int, path: str, headers: dict[str, str], body: bytes) -> Answer:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE_S) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        return over_http2(connection, port, path, headers, body)


def with_prior_knowledge(port: int, path: str, headers: dict[str, str], body: bytes) -> Answer:
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        return over_http2(connection, port, path, headers, body)


VERSIONS: list[Callable[[int, str, dict[str, str], bytes], Answer]] = [
    over_http1,
    over_tls,
    with_prior_knowledge,
]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture(scope="module")
def mute() -> Iterator[int]:
    """The port of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(scope="module")
def proxy(upstream: Upstream, mute: int) -> Iterator[Running]:
    rules = guard_rules("127.0.0.1", (), [ORIGIN])
    config = snapshot(provider("up", upstream.port), provider("down", 1), provider("silent", mute))
    options: dict[str, Any] = {"rules": rules, "require_token": False, "idle_timeout_s": 0.5}
    with running_proxy(config, body_size_limit="8k", **options) as running:
        yield running


def body_of(path: str, failure: str) -> bytes:
    request: dict[str, object] = {"model": "m", "max_tokens": 1}
    if "generateContent" in path:
        request = {}
    question = "x" * (12_000 if failure == "too-large" else 2)
    kind = PATHS[path]
    key = "contents" if kind == "google" else "messages"
    if path == "/v1/responses":
        return json.dumps(request | {"input": question}).encode()
    part = {"parts": [{"text": question}]} if kind == "google" else {"content": question}
    return json.dumps(request | {key: [{"role": "user", **part}]}).encode()


def script_of(failure: str) -> Script:
    if failure == "reset":
        return Script(reset_after=0)
    return Script(status=200, headers=(("content-length", "nonsense"),))


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("origin", ["", ORIGIN])
@pytest.mark.parametrize("ask", VERSIONS)
def test_an_error_is_labelled_json_that_a_listed_origin_may_read(
    proxy: Running,
    upstream: Upstream,
    ask: Callable[[int, str, dict[str, str], bytes], Answer],
    origin: str,
    path: str,
    failure: str,
) -> None:
    upstream.scripts["/v1/messages"] = script_of(failure)
    name = failure if failure in ("down", "silent") else "up"
    headers = {"x-api-key": f"sk-ccproxy-{name}", "content-type": "application/json"}
    if origin:
        headers |= {"origin": origin}
    answer = ask(proxy.port, path, headers, body_of(path, failure))
    assert answer.status == STATUS.get(failure, 502)
    assert answer.headers["content-type"] == "application/json"
    document = json.loads(answer.body)
    assert document["error"]["message"]
    assert (document.get("type") == "error") == (PATHS[path] == "anthropic")
    assert ("status" in document["error"]) == (PATHS[path] == "google")
    assert answer.headers.get("access-control-allow-origin", "") == origin
    assert ("origin" in answer.headers.get("vary", "").lower()) == bool(origin)
    exposed = answer.headers.get("access-control-expose-headers", "")
    assert ("x-ccproxy-flow" in exposed) == bool(origin)
