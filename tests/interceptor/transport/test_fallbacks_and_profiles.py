"""Fallbacks, retries and the transport in one request."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from providers.base.upstream_proxy import choose_proxies
from providers.fallbacks import parse_fallbacks
from providers.provider_conf import ProviderConf
from providers.retry_policy import RetryPolicy
from tests.fakes.connect_proxy import ConnectProxy
from tests.fakes.http2 import Http2Upstream
from tests.fakes.upstream import Script, Seen, Upstream, sse
from tests.interceptor.proxied import Running, key_auth, provider, snapshot
from tests.interceptor.transport.conftest import BODY, HOST, PATH, Start, ask, corp
from tests.patience import PATIENCE_S

EVENT = b'data: {"choices": [{"delta": {"content": "hello"}}]}\n\n'
BUSY = Script(429, pieces=(b"{}",))


def far(**more: Any) -> ProviderConf:
    """The provider behind TLS, as a fallback."""
    return replace(corp(**more), name="far")


def near(port: int, name: str = "corp", **more: Any) -> ProviderConf:
    """A provider of this machine, without a profile."""
    return provider(name, port, type="openai", path=PATH, **more)


def chain(*entries: str) -> dict[str, Any]:
    return {"fallbacks": parse_fallbacks(list(entries))}


def sent_as(proxy: Running, response: httpx.Response) -> list[str]:
    record = proxy.sink.of(response)
    return [step.reason for step in record.hooks if step.hook == "transport"]


@pytest.fixture
def plain() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.mark.parametrize("version", ["over_http1", "over_http2"])
def test_a_candidate_with_a_profile_goes_by_the_transport(
    version: str, start: Start, plain: Upstream, request: pytest.FixtureRequest
) -> None:
    upstream: Http2Upstream = request.getfixturevalue(version)
    plain.scripts[PATH] = BUSY
    upstream.scripts[PATH] = sse(EVENT)
    proxy = start(upstream.port, near(plain.port, **chain("far")), far())
    response = ask(proxy)
    assert (response.status_code, response.content) == (200, EVENT)
    assert sent_as(proxy, response) == ["sent as chrome131"]
    record = proxy.sink.of(response)
    assert (record.host, record.forwarded_url) == (HOST, f"https://{HOST}{PATH}")
    assert [(a.provider, a.status_code) for a in record.attempts] == [("corp", 429), ("far", 200)]
    assert upstream.last.body == BODY
    assert upstream.last.header("host") in (HOST, None)


def test_from_a_profile_to_a_provider_without_one(
    start: Start, plain: Upstream, over_http2: Http2Upstream
) -> None:
    over_http2.scripts[PATH] = BUSY
    proxy = start(over_http2.port, corp(**chain("near")), near(plain.port, "near"))
    response = ask(proxy)
    assert response.status_code == 200
    assert sent_as(proxy, response) == []
    assert plain.last.header("host") == f"127.0.0.1:{plain.port}"
    assert "x-ccproxy-transport" not in {name.lower() for name, _ in plain.last.headers}


def test_from_one_profile_to_another(start: Start, over_http1: Http2Upstream) -> None:
    scripts = [BUSY, sse(EVENT)]
    over_http1.scripts[PATH] = lambda _: scripts.pop(0)
    other = far(fingerprint_profile="firefox135")
    proxy = start(over_http1.port, corp(**chain("far")), other)
    response = ask(proxy)
    assert response.content == EVENT
    assert sent_as(proxy, response) == ["sent as firefox135"]


def test_a_provider_that_libcurl_cannot_reach(start: Start, plain: Upstream) -> None:
    proxy = start(1, corp(**chain("near")), near(plain.port, "near"))
    response = ask(proxy)
    assert response.status_code == 200
    record = proxy.sink.of(response)
    assert (record.error, record.attempts[0].failure) == ("", "connect")


def test_a_401_of_a_candidate_with_a_profile_is_renewed(
    start: Start, plain: Upstream, over_http1: Http2Upstream
) -> None:
    plain.scripts[PATH] = BUSY
    old = far(auth=key_auth("x-api-key", "old-key-0123456789"))
    first = near(plain.port, **chain("far"))
    proxy = start(over_http1.port, first, old)

    def renew(seen: Seen) -> Script:
        if seen.header("x-api-key") != "old-key-0123456789":
            return sse(EVENT)
        proxy.store.replace(snapshot(first, far(auth=key_auth("x-api-key"))))
        return Script(401, pieces=(b"{}",))

    over_http1.scripts[PATH] = renew
    response = ask(proxy)
    assert (response.status_code, response.content) == (200, EVENT)
    statuses = [attempt.status_code for attempt in proxy.sink.of(response).attempts]
    assert statuses == [429, 401, 200]


def test_a_broken_curl_cffi_leaves_that_candidate_out(
    start: Start, plain: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "interceptor.transport.loopback_server", None)
    busy = [BUSY]
    plain.scripts[PATH] = lambda seen: busy.pop() if busy else plain.scripted_answer(seen)
    first = near(plain.port, **chain("far", "near"))
    proxy = start(1, first, far(), near(plain.port, "near"))
    response = ask(proxy)
    assert response.status_code == 200
    assert [a.provider for a in proxy.sink.of(response).attempts] == ["corp", "near"]


def test_the_companys_proxy_leads_to_a_candidate(
    start: Start, plain: Upstream, over_http1: Http2Upstream
) -> None:
    """The first provider is on this machine and is reached directly."""
    plain.scripts[PATH] = BUSY
    over_http1.scripts[PATH] = sse(EVENT)
    with ConnectProxy(over_http1.port) as corporate:
        proxies, _ = choose_proxies(f"http://me:pass@127.0.0.1:{corporate.port}", {})
        first = near(plain.port, **chain("far"))
        direct = far(fingerprint_profile="")
        proxy = start(over_http1.port, first, direct, overrides=None, proxies=proxies)
        response = ask(proxy)
        assert (response.status_code, response.content) == (200, EVENT)
        assert corporate.heads[0].lower().startswith(f"connect {HOST}:443 http/1.1")
        assert over_http1.last.header("proxy-authorization") is None


def _leave(client: socket.socket, proxy: Running) -> None:
    del proxy
    client.close()


def _stop(client: socket.socket, proxy: Running) -> None:
    proxy.stop(0.0)
    received = b""
    while data := client.recv(65536):
        received += data
    assert received.startswith(b"HTTP/1.1 503 ") and b'"error"' in received


@pytest.mark.parametrize("cut", [_leave, _stop])
def test_a_wait_for_a_provider_with_a_profile_is_cut(
    start: Start,
    over_http1: Http2Upstream,
    decided: threading.Event,
    cut: Callable[[socket.socket, Running], None],
) -> None:
    hour = (("retry-after", "3600"),)
    over_http1.scripts[PATH] = replace(BUSY, headers=hour)
    proxy = start(over_http1.port, corp(retry=RetryPolicy(3, budget_s=3600.0)))
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S) as client:
        head = f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sk-ccproxy-corp"
        client.sendall(f"{head}\r\ncontent-length: {len(BODY)}\r\n\r\n".encode() + BODY)
        assert decided.wait(PATIENCE_S)
        cut(client, proxy)
    assert proxy.sink.wait(1).state == "error"
    assert len(over_http1.requests) == 1
