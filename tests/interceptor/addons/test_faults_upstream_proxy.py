"""Providers behind a company's proxy: with CONNECT, credentials, exemptions and failures."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from providers.base.upstream_proxy import UpstreamProxies, choose_proxies
from tests.environment import need
from tests.fakes.certificates import Authority, make_authority
from tests.fakes.connect_proxy import ConnectProxy
from tests.fakes.http2 import Http2Upstream
from tests.fakes.upstream import Script, Upstream
from tests.interceptor.proxied import KEY, Running, provider, running_proxy, snapshot
from tests.patience import PATIENCE_S

HOST = "llm.corp.test"
BODY = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'
KEYED = {"authorization": "Bearer sk-ccproxy-corp"}
PASSWORD = "p@ss:w/rd-0123"  # a test's own
CREDENTIALS = "me:p%40ss%3Aw%2Frd-0123"
BASIC = "Basic bWU6cEBzczp3L3JkLTAxMjM="


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return make_authority(tmp_path, HOST)


def _through(port: int, *, credentials: str = "", scheme: str = "http") -> UpstreamProxies:
    at = f"{credentials}@" if credentials else ""
    return choose_proxies(f"{scheme}://{at}127.0.0.1:{port}", {})[0]


def _corp(**more: Any) -> Any:
    values: dict[str, Any] = {"host": HOST, "scheme": "https", "type": "openai", **more}
    return provider("corp", 443, **{"path": "/v1/chat/completions", **values})


def _ask(proxy: Running, **more: Any) -> httpx.Response:
    return httpx.post(
        f"{proxy.url}/v1/chat/completions",
        content=BODY,
        headers={**KEYED, "content-type": "application/json", **more},
        timeout=PATIENCE_S,
        trust_env=False,
    )


def test_a_provider_is_reached_by_connect_with_the_credential(authority: Authority) -> None:
    with (
        Upstream(tls=authority.server_context(["http/1.1"])) as upstream,
        ConnectProxy(upstream.port) as corp,
        running_proxy(
            snapshot(_corp()),
            proxies=_through(corp.port, credentials=CREDENTIALS),
            ssl_verify_upstream_trusted_ca=str(authority.ca_file),
        ) as proxy,
    ):
        assert _ask(proxy).status_code == 200
        assert _ask(proxy).status_code == 200
        assert upstream.last.header("x-api-key") == KEY
        assert upstream.last.header("proxy-authorization") is None
        first, *_ = corp.heads
        assert first.startswith(f"CONNECT {HOST}:443 HTTP/1.1\r\n")
        assert f"proxy-authorization: {BASIC}" in first.replace("Proxy-A", "proxy-a")
        record = proxy.sink.wait(2)
        assert PASSWORD not in repr(record) and BASIC not in repr(record)


def test_a_stream_and_a_second_protocol_pass_the_tunnel(authority: Authority) -> None:
    script = Script(
        headers=(("content-type", "text/event-stream"),),
        pieces=(b"data: 1\n\n", b"data: 2\n\n", b"data: [DONE]\n\n"),
        framing="chunked",
    )
    with (
        Upstream(tls=authority.server_context(["http/1.1"])) as upstream,
        ConnectProxy(upstream.port) as corp,
        running_proxy(
            snapshot(_corp()),
            proxies=_through(corp.port),
            ssl_verify_upstream_trusted_ca=str(authority.ca_file),
        ) as proxy,
    ):
        upstream.scripts["/v1/chat/completions"] = script
        assert _ask(proxy).content == b"".join(script.pieces)
        assert "authorization" not in corp.heads[0].lower()


def test_the_certificate_is_checked_for_the_providers_own_name(tmp_path: Path) -> None:
    authority = make_authority(tmp_path, "another.test")
    with (
        Upstream(tls=authority.server_context(["http/1.1"])) as upstream,
        ConnectProxy(upstream.port) as corp,
        running_proxy(
            snapshot(_corp()),
            proxies=_through(corp.port),
            ssl_verify_upstream_trusted_ca=str(authority.ca_file),
        ) as proxy,
    ):
        answer = _ask(proxy)
        assert answer.status_code == 502
        assert "certificate" in answer.text.lower() and upstream.requests == []


def test_http2_inside_the_tunnel_and_tls_to_the_proxy(authority: Authority) -> None:
    with (
        Http2Upstream(authority.server_context(["h2"])) as upstream,
        ConnectProxy(upstream.port, tls=authority.server_context(["http/1.1"])) as corp,
        running_proxy(
            snapshot(_corp()),
            proxies=_through(corp.port, scheme="https", credentials=CREDENTIALS),
            ssl_verify_upstream_trusted_ca=str(authority.ca_file),
        ) as proxy,
    ):
        assert _ask(proxy).status_code == 200
        assert BASIC in corp.heads[0]


def test_loopback_and_exempt_providers_are_reached_directly() -> None:
    with (
        Upstream() as upstream,
        ConnectProxy(upstream.port) as corp,
        running_proxy(
            snapshot(provider("corp", upstream.port, type="openai", path="/v1/chat/completions")),
            proxies=_through(corp.port),
        ) as proxy,
    ):
        assert _ask(proxy).status_code == 200
        assert corp.heads == []


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required", "407 Proxy Authentication Required"),
        (b"HTTP/1.1 403 Filtered", "403 Filtered"),
        (b"nonsense", ""),
    ],
)
def test_a_refusal_names_the_proxy_and_the_setting(refusal: bytes, reason: str) -> None:
    with (
        ConnectProxy(1, refusal=refusal) as corp,
        running_proxy(
            snapshot(_corp()), proxies=_through(corp.port, credentials=CREDENTIALS)
        ) as proxy,
    ):
        answer = _ask(proxy)
        assert answer.status_code == 502
        message = answer.json()["error"]["message"]
        assert f"the proxy 127.0.0.1:{corp.port} (upstream_proxy)" in message
        assert reason in message and PASSWORD not in message
        assert proxy.sink.wait().state == "error"


def test_a_proxy_that_is_down_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with running_proxy(snapshot(_corp()), proxies=_through(port)) as proxy:
        message = _ask(proxy).json()["error"]["message"]
        assert f"the proxy 127.0.0.1:{port} (upstream_proxy)" in message


def test_a_silent_proxy_and_a_silent_provider_behind_it_are_given_up(
    authority: Authority,
) -> None:
    with (
        Upstream(tls=authority.server_context(["http/1.1"])) as upstream,
        ConnectProxy(upstream.port) as corp,
        running_proxy(
            snapshot(_corp()),
            proxies=_through(corp.port),
            idle_timeout_s=0.5,
            ssl_verify_upstream_trusted_ca=str(authority.ca_file),
        ) as proxy,
    ):
        corp.is_silent = True
        answer = _ask(proxy)
        assert answer.status_code == 504 and "(upstream_proxy)" in answer.text
        corp.is_silent = False
        gate = threading.Event()
        upstream.scripts["/v1/chat/completions"] = Script(pieces=(b"{", b"}"), gate=gate)
        with pytest.raises(httpx.HTTPError):
            _ask(proxy)
        record = proxy.sink.wait(2)
        assert record.state == "error" and "sent nothing" in record.error
        gate.set()


@contextmanager
def tinyproxy(folder: Path, upstream_port: int) -> Iterator[int]:
    """A tinyproxy that asks for credentials and sends everything on to another proxy."""
    program = shutil.which("tinyproxy") or shutil.which("tinyproxy", path="/usr/bin:/usr/sbin")
    need("tinyproxy", bool(program))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    config = folder / "tinyproxy.conf"
    config.write_text(
        f"User {getpass.getuser()}\nPort {port}\nListen 127.0.0.1\nTimeout 60\n"
        f'Allow 127.0.0.1\nBasicAuth me secret-0123\nLogFile "{folder / "tiny.log"}"\n'
        f'Upstream http 127.0.0.1:{upstream_port} "{HOST}"\n'
    )
    process = subprocess.Popen([str(program), "-d", "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def test_a_real_proxy_lets_in_whoever_shows_the_password(
    tmp_path: Path, authority: Authority
) -> None:
    with (
        Upstream(tls=authority.server_context(["http/1.1"])) as upstream,
        ConnectProxy(upstream.port) as outer,
        tinyproxy(tmp_path, outer.port) as port,
    ):
        trusted: dict[str, Any] = {"ssl_verify_upstream_trusted_ca": str(authority.ca_file)}
        good = _through(port, credentials="me:secret-0123")
        with running_proxy(snapshot(_corp()), proxies=good, **trusted) as proxy:
            assert _ask(proxy).status_code == 200
            assert upstream.last.header("x-api-key") == KEY
            assert len(outer.heads) == 1
        bad = _through(port, credentials="me:wrong-0123")
        with running_proxy(snapshot(_corp()), proxies=bad, **trusted) as proxy:
            answer = _ask(proxy)
            assert answer.status_code == 502 and "refused HTTP CONNECT" in answer.text
            assert f"127.0.0.1:{port} (upstream_proxy)" in answer.text
            assert len(outer.heads) == 1


CLIENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "/v1/messages": (
        "anthropic",
        {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]},
    ),
    "/v1/chat/completions": (
        "openai",
        {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    ),
    "/v1/responses": ("openai_responses", {"model": "m", "input": "hi"}),
    "/v1beta/models/m:generateContent": ("google", {"contents": [{"parts": [{"text": "hi"}]}]}),
}
PATHS = {
    "anthropic": "/v1/messages",
    "openai": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "google": "/v1beta/models/{model}:{action}",
}


@pytest.mark.parametrize("status", ["407 Who are you", "502 No way"])
@pytest.mark.parametrize("path", CLIENTS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_an_error_of_the_clients_format(path: str, status: str, stream: bool) -> None:
    """Native and translated, buffered and streamed."""
    native, body = CLIENTS[path]
    asked = path.replace("generateContent", "streamGenerateContent?alt=sse") if stream else path
    if stream and native != "google":
        body = {**body, "stream": True}
    refusal = f"HTTP/1.1 {status}".encode()
    with ConnectProxy(1, refusal=refusal) as corp:
        for kind, target in PATHS.items():
            conf = snapshot(_corp(type=kind, path=target))
            with running_proxy(conf, proxies=_through(corp.port)) as proxy:
                answer = httpx.post(
                    f"{proxy.url}{asked}", json=body, headers=KEYED, timeout=PATIENCE_S,
                    trust_env=False,
                )  # fmt: skip
            assert answer.status_code == 502, kind
            assert answer.headers["content-type"] == "application/json"
            error = answer.json()["error"]
            assert f"the proxy 127.0.0.1:{corp.port} (upstream_proxy)" in error["message"]
            assert status in error["message"]
            assert ("status" in error) == (native == "google")
            assert (answer.json().get("type") == "error") == (native == "anthropic")


def test_a_websocket_passes_the_tunnel(authority: Authority) -> None:
    with (
        Upstream(tls=authority.server_context(["http/1.1"])) as upstream,
        ConnectProxy(upstream.port) as corp,
        running_proxy(
            snapshot(_corp(type="openai_responses", path="/v1/responses")),
            proxies=_through(corp.port, credentials=CREDENTIALS),
            ssl_verify_upstream_trusted_ca=str(authority.ca_file),
        ) as proxy,
    ):
        upstream.scripts["/v1/responses"] = Script(echo=True)
        address = f"ws://127.0.0.1:{proxy.port}/v1/responses"
        with connect(address, additional_headers=KEYED, compression=None, proxy=None) as client:
            client.send("hello")
            assert client.recv() == "hello"
        assert BASIC in corp.heads[0] and corp.heads[0].startswith(f"CONNECT {HOST}:443")
        assert upstream.last.header("proxy-authorization") is None
        assert proxy.sink.wait().is_websocket


def test_a_websocket_that_the_proxy_refuses_is_told_why() -> None:
    with (
        ConnectProxy(1, refusal=b"HTTP/1.1 407 Who are you") as corp,
        running_proxy(
            snapshot(_corp(type="openai_responses", path="/v1/responses")),
            proxies=_through(corp.port),
        ) as proxy,
    ):
        address = f"ws://127.0.0.1:{proxy.port}/v1/responses"
        with pytest.raises(InvalidStatus) as refused:
            connect(address, additional_headers=KEYED, proxy=None)
        assert b"(upstream_proxy)" in refused.value.response.body
        assert "(upstream_proxy)" in proxy.sink.wait().error
