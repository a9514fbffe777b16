"""The transport's port is of no use to anybody else on this machine."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from interceptor.transport.detour import (
    NUMBER_HEADER,
    SECRET_HEADER,
    AnnouncedRequests,
    Destination,
    Detour,
    OutgoingHead,
    TransportAddress,
)
from interceptor.transport.permitted import may_reach
from tests.fakes.http2 import Http2Upstream
from tests.fakes.upstream import Script, Upstream
from tests.interceptor.proxied import Running, provider, snapshot
from tests.interceptor.transport.conftest import HOST, PATH, Start, ask, corp
from tests.patience import PATIENCE_S


def _book(proxy: Running) -> AnnouncedRequests:
    return proxy.proxy.transport._book


def _address(proxy: Running) -> TransportAddress:
    server = proxy.proxy.transport.server
    assert server is not None
    return server.address


def _call(proxy: Running, headers: dict[str, str]) -> httpx.Response:
    host, port = _address(proxy)
    url = f"http://{host}:{port}/"
    return httpx.post(url, headers=headers, content=b"{}", timeout=PATIENCE_S, trust_env=False)


def _announced(proxy: Running, destination: Destination) -> tuple[Detour, dict[str, str]]:
    """Announce a request as only the proxy itself can, and return its loopback headers."""
    detour = Detour(_book(proxy), _address(proxy), "chrome131", destination)
    fields = detour.announce(OutgoingHead("POST", b"/", ()))
    return detour, {name.decode(): value.decode() for name, value in fields[1:]}


@pytest.fixture
def proxy(start: Start, over_http1: Http2Upstream) -> Running:
    running = start(over_http1.port)
    assert ask(running).status_code == 200
    return running


def test_it_listens_on_loopback_alone(proxy: Running) -> None:
    assert _address(proxy).host == "127.0.0.1"


def test_a_call_without_the_secret_is_refused(proxy: Running) -> None:
    _, headers = _announced(proxy, Destination("https", HOST, 443))
    number = {NUMBER_HEADER: headers[NUMBER_HEADER]}
    secret = headers[SECRET_HEADER]
    wrong = ("", "x", secret[:-1], secret + "x", secret.swapcase())
    assert _call(proxy, number).status_code == 403
    assert {_call(proxy, {**number, SECRET_HEADER: text}).status_code for text in wrong} == {403}


def test_the_secret_alone_sends_nothing(proxy: Running, over_http1: Http2Upstream) -> None:
    secret = {SECRET_HEADER: _book(proxy).secret}
    target = {"x-ccproxy-target-url": f"https://{HOST}/", "host": HOST}
    assert _call(proxy, {**secret, **target}).status_code == 404
    assert _call(proxy, {**secret, NUMBER_HEADER: "1"}).status_code == 404
    assert len(over_http1.requests) == 1


def test_a_request_is_taken_once(proxy: Running, over_http1: Http2Upstream) -> None:
    _, headers = _announced(proxy, Destination("https", HOST, 443))
    # 200 or 404 of the scripted provider: it was asked.
    _call(proxy, headers)
    assert len(over_http1.requests) == 2
    assert _call(proxy, headers).status_code == 404
    assert len(over_http1.requests) == 2


def test_a_foreign_host_and_loopback_ports_are_not_reached(proxy: Running) -> None:
    with Upstream() as other:
        for destination in (
            Destination("https", "example.test", 443),
            Destination("https", HOST, 8443),
            Destination("http", HOST, 443),
            Destination("http", "127.0.0.1", other.port),
            Destination("http", "localhost", other.port),
            Destination("https", f"{HOST}.", 443),
        ):
            detour, headers = _announced(proxy, destination)
            assert _call(proxy, headers).status_code == 502
            assert detour.failure == "is no provider's address any more"
        assert other.requests == []


def test_a_redirect_is_not_followed(proxy: Running, over_http1: Http2Upstream) -> None:
    with Upstream() as other:
        location = ("location", f"http://127.0.0.1:{other.port}/x")
        over_http1.scripts[PATH] = Script(status=302, headers=(location,), pieces=())
        assert ask(proxy).status_code == 302
        assert other.requests == []


def test_a_certificate_of_another_authority_is_refused(
    start: Start, over_http1: Http2Upstream
) -> None:
    import certifi

    proxy = start(over_http1.port, ssl_verify_upstream_trusted_ca=certifi.where())
    response = ask(proxy)
    assert response.status_code == 502
    assert "certificate" in response.text
    assert over_http1.requests == []


def test_only_verified_tls_and_this_machine_may_be_reached() -> None:
    config = snapshot(
        corp(),
        provider("plain", 80, host="plain.test", auth=None),
        provider("unverified", 443, host="u.test", scheme="https", verify_tls=False, auth=None),
        provider("ollama", 11434),
    )
    assert may_reach(config, Destination("https", HOST, 443))
    assert may_reach(config, Destination("http", "127.0.0.1", 11434))
    assert not may_reach(config, Destination("http", "plain.test", 80))
    assert not may_reach(config, Destination("https", "u.test", 443))
    assert not may_reach(config, Destination("http", "127.0.0.1", 11435))


def test_requests_that_nobody_takes_are_dropped() -> None:
    async def fill() -> None:
        book = AnnouncedRequests()
        detour = Detour(book, TransportAddress("127.0.0.1", 1), "p", Destination("https", "h", 1))
        numbers = [book.add(detour) for _ in range(5000)]
        assert book.take(numbers[0]) is None
        assert book.take(numbers[-1]) is detour
        assert len(book._waiting) < 4096

    asyncio.run(fill())
