"""Handshakes of captured clients, sent again by libcurl and measured."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from dataclasses import replace

import pytest
from curl_cffi import Curl, CurlError, CurlOpt
from curl_cffi import requests as curl_requests
from hypothesis import given
from hypothesis import strategies as st

from interceptor.transport.captured_hello import Likeness, likeness, set_hello
from interceptor.wireguard.client_hello import ClientHello
from providers.provider_conf import ProviderConf
from shapes.replay.captured_handshake import CapturedHandshake, read_handshake
from tests.fakes.http2 import Http2Upstream
from tests.fakes.upstream import Script
from tests.interceptor.proxied import Running
from tests.interceptor.shaping.reference import active, shape_row
from tests.interceptor.transport.conftest import HOST, PATH, Start, ask, corp
from tests.interceptor.transport.hello_reader import hello_reader

CLIENT = "reference-cli 1.0"
PADDING = 21
EMPTY = (18, 23, 35)
"""Extensions without content: SCT, extended master secret, session ticket."""
BROWSERS = ("chrome99_android", "safari170", "safari260", "firefox135", "chrome131")
numbers = st.lists(
    st.integers(0, 0xFFFF).filter(lambda value: value & 0x0F0F != 0x0A0A), max_size=8
)


def fingerprint(hello: ClientHello) -> dict[str, str]:
    """The record of a handshake, as a shape keeps it."""
    return {name: getattr(hello, name) for name in ("ja3", "ja3_full", "ja4", "ja4_r")}


def handshake_of(hello: ClientHello) -> CapturedHandshake:
    found = read_handshake(fingerprint(hello), CLIENT)
    assert found is not None
    return found


def hello_of_browser(name: str) -> ClientHello:
    with hello_reader() as (port, hellos):
        with suppress(curl_requests.exceptions.RequestException):
            curl_requests.get(f"https://localhost:{port}/", impersonate=name, verify=False)
        return hellos[0]


def hello_of_openssl(newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED) -> ClientHello:
    with hello_reader() as (port, hellos):
        context = ssl.create_default_context()
        context.maximum_version = newest
        with socket.create_connection(("127.0.0.1", port)) as raw, suppress(OSError):
            context.wrap_socket(raw, server_hostname=HOST)
        return hellos[0]


@given(numbers.filter(bool), numbers.filter(bool), numbers.filter(bool), numbers)
def test_the_lists_of_a_hello_come_back_from_its_fingerprints(
    ciphers: list[int], extensions: list[int], groups: list[int], signatures: list[int]
) -> None:
    hello = ClientHello(
        0x0303,
        tuple(ciphers),
        tuple(extensions),
        tuple(groups),
        (0,),
        tuple(signatures),
        (0x0304,),
        (b"h2", b"http/1.1"),
    )
    found = handshake_of(hello)
    assert found.ciphers == hello.cipher_suites
    assert found.extensions == hello.extensions
    assert found.groups == hello.groups
    assert found.signature_algorithms == hello.signature_algorithms
    assert found.has_tls_1_3
    assert found.protocol == "h2"


@pytest.mark.parametrize(
    "broken",
    [
        None,
        [],
        {},
        {"ja3_full": "771", "ja4": "t13d"},
        {"ja3_full": "771,a-b,0,29,0", "ja4": "t13d"},
        {"ja3_full": "771,1,0,29,0", "ja4": ""},
        {"ja3_full": "771,1,0,29,0", "ja4": "t13d", "ja4_r": "a_b_c_nothex"},
    ],
)
def test_a_fingerprint_that_lacks_something_is_no_handshake(broken: object) -> None:
    assert read_handshake(broken) is None


@pytest.mark.parametrize("browser", BROWSERS)
def test_a_client_with_libcurls_tls_library_is_met_exactly(browser: str) -> None:
    hello = hello_of_browser(browser)
    measured = asyncio.run(likeness(handshake_of(hello)))
    # Chrome shuffles its extensions; BoringSSL pads behind an empty one, if its order is given.
    padded = () if PADDING in hello.extensions else (PADDING,)
    if hello.extensions[-1] in EMPTY and padded:
        assert measured == Likeness(ja3=False, ja4=False, left_out=(), added=padded)
        assert measured.sentence() == "JA3 and JA4 differ; libcurl adds extension 21"
    else:
        assert measured == Likeness(ja3=True, ja4=True, left_out=())


def test_what_libcurl_cannot_send_is_named() -> None:
    hello = hello_of_openssl()
    measured = asyncio.run(likeness(handshake_of(hello)))
    assert not measured.ja3
    # encrypt_then_mac, which BoringSSL does not have.
    assert "extension 22" in measured.left_out
    assert measured.sentence().startswith("JA3 and JA4 differ; libcurl cannot send extension 22")


def test_a_client_without_tls_1_3_keeps_its_version() -> None:
    hello = hello_of_openssl(ssl.TLSVersion.TLSv1_2)
    with hello_reader() as (port, sent):
        curl = Curl()
        set_hello(curl, handshake_of(hello))
        curl.setopt(CurlOpt.URL, f"https://localhost:{port}/")
        with suppress(CurlError):
            curl.perform()
        curl.close()
    assert (hello.ja4[:3], sent[0].ja4[:3]) == ("t12", "t12")


def _shaped(proxy: Running, provider: ProviderConf, hello: ClientHello | None) -> None:
    """Give a running proxy an active shape of the provider's type."""
    row = replace(shape_row(), provider_type=provider.type)
    captured = None if hello is None else fingerprint(hello)
    before = proxy.store.current
    proxy.store.replace(replace(before, shapes=active(replace(row, fingerprint=captured))))


def test_requests_leave_with_the_handshake_of_the_active_shape(start: Start) -> None:
    captured = hello_of_browser("safari170")
    provider = corp(fingerprint_profile="captured")
    with hello_reader() as (port, hellos):
        proxy = start(port, provider)
        _shaped(proxy, provider, captured)
        ask(proxy)
    assert (hellos[0].ja3, hellos[0].ja4) == (captured.ja3, captured.ja4)
    assert hellos[0].sni == HOST


def test_the_flow_tells_how_near_the_handshake_came(
    start: Start, over_http2: Http2Upstream
) -> None:
    over_http2.scripts[PATH] = Script()
    provider = corp(fingerprint_profile="captured")
    proxy = start(over_http2.port, provider)
    _shaped(proxy, provider, hello_of_browser("safari170"))
    response = ask(proxy)
    assert response.status_code == 200
    steps = [step.reason for step in proxy.sink.of(response).hooks if step.hook == "transport"]
    assert len(steps) == 1
    assert steps[0].startswith("sent as captured from ")
    assert steps[0].endswith(": JA3 and JA4 equal")


def test_without_a_captured_handshake_the_client_learns_what_to_do(start: Start) -> None:
    provider = corp(fingerprint_profile="captured")
    proxy = start(9, provider)
    _shaped(proxy, provider, None)
    response = ask(proxy)
    assert response.status_code == 400
    assert "no active shape of the type openai has a TLS handshake" in response.text
