"""Captured traffic by way of a company's proxy: requests, websockets, unread TLS, and refusals."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from interceptor.addons.capture.dns import stand_in_address
from interceptor.wireguard.overrides import parse_overrides
from providers.base.upstream_proxy import choose_proxies
from tests.fakes.certificates import Authority, make_authority
from tests.fakes.connect_proxy import ConnectProxy
from tests.fakes.http2 import Http2Upstream
from tests.fakes.http2_client import ask_h2
from tests.fakes.upstream import Script, Upstream, sse
from tests.interceptor.proxied import (
    CA_DIR,
    Running,
    key_auth,
    provider,
    rule,
    running_proxy,
    snapshot,
)
from tests.interceptor.wireguard.tunnel import Captured, captured, need_tunnel
from tests.interceptor.wireguard.world import talk

FAR, EXEMPT = "far.test", "exempt.test"
ADDRESSES = {FAR: "192.0.2.50", EXEMPT: "192.0.2.51"}
PASSWORD = "corp-pass-0123"
BASIC = "Basic bWU6Y29ycC1wYXNzLTAxMjM="
BODY = json.dumps({"model": "m", "max_tokens": 1, "messages": []})


@dataclass
class Company:
    """A command behind a proxy that leads to the only server."""

    proxy: Running
    corp: ConnectProxy
    far: Upstream
    run: Captured
    authority: Authority

    def ask(self, name: str = FAR, *, key: str = "of-the-user", path: str = "/v1/messages") -> str:
        """Post a request of Anthropic's; the response as text."""
        text = (
            f"POST {path} HTTP/1.1\r\nhost: {name}\r\nx-api-key: {key}\r\nconnection: close\r\n"
            f"anthropic-version: 2023-06-01\r\ncontent-length: {len(BODY)}\r\n\r\n{BODY}"
        )
        with self.run.tls(self.run.address(name), name) as connection:
            return talk(connection, text.encode()).decode()


@contextmanager
def company(
    folder: Path,
    *,
    refusal: bytes = b"",
    http2: bool = False,
    names: tuple[str, ...] = tuple(ADDRESSES),
    rules: tuple[Any, ...] = (),
    more: tuple[Any, ...] = (),
    **options: Any,
) -> Iterator[Company]:
    need_tunnel()
    authority = make_authority(folder, *names)
    context = authority.server_context(["h2", "http/1.1"] if http2 else ["http/1.1"])
    far_provider = provider(
        "far", 443, host=FAR, scheme="https", auth=key_auth("x-api-key", "key-of-far")
    )
    with (
        Http2Upstream(context) if http2 else Upstream(context) as far,
        ConnectProxy(far.port, refusal=refusal) as corp,
    ):
        proxies, _ = choose_proxies(
            f"http://me:{PASSWORD}@127.0.0.1:{corp.port}", {"NO_PROXY": EXEMPT}
        )
        with (
            running_proxy(
                snapshot(far_provider, *more, rules=rules),
                config_dir=folder,
                overrides=parse_overrides(ADDRESSES, {}),
                proxies=proxies,
                ssl_verify_upstream_trusted_ca=str(authority.ca_file),
                **options,
            ) as proxy,
            captured(folder, CA_DIR) as run,
        ):
            yield Company(proxy, corp, far, run, authority)


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Company]:
    with company(tmp_path) as world:
        yield world


def connects(world: Company) -> list[str]:
    return [head.partition(" HTTP/")[0] for head in world.corp.heads]


@pytest.mark.parametrize("key", ["of-the-user", "sk-ccproxy-far"])
def test_a_request_passes_by_the_proxy_under_its_name(there: Company, key: str) -> None:
    assert there.ask(key=key).startswith("HTTP/1.1 200")
    assert connects(there) == [f"CONNECT {FAR}:443"]
    assert BASIC in there.corp.heads[0]
    assert there.far.last.header("proxy-authorization") is None
    wanted = "key-of-far" if key.startswith("sk-") else key
    assert there.far.last.header("x-api-key") == wanted
    record = there.proxy.sink.wait()
    assert (record.host, record.state) == (FAR, "done")
    assert PASSWORD not in repr(record) and BASIC not in repr(record)


def test_a_stream_passes(there: Company) -> None:
    events = (b"event: ping\ndata: {}\n\n", b"event: message_stop\ndata: {}\n\n")
    there.far.scripts["/v1/messages"] = sse(*events)
    assert "message_stop" in there.ask()
    assert len(there.corp.heads) == 1


def test_an_exempt_name_is_reached_directly(there: Company) -> None:
    # Nobody is at its address, so that it fails without the proxy.
    assert "exempt.test" not in "".join(there.corp.heads)
    with pytest.raises(OSError), there.run.tls(there.run.address(EXEMPT), EXEMPT) as connection:
        connection.settimeout(1)
        connection.sendall(b"GET / HTTP/1.1\r\nhost: exempt.test\r\n\r\n")
        assert connection.recv(1) == b""
        raise OSError
    assert there.corp.heads == []


def test_a_name_that_was_not_looked_up_stays_an_address(there: Company) -> None:
    address = there.run.address(FAR)
    with there.run.tls(address, EXEMPT) as connection:
        talk(connection, b"GET /x HTTP/1.1\r\nhost: far.test\r\nconnection: close\r\n\r\n")
    assert connects(there) == [f"CONNECT {address}:443"]


def test_http2_passes(tmp_path: Path) -> None:
    with company(tmp_path, http2=True) as world:
        address = world.run.address(FAR)
        with world.run.tls(address, FAR, alpn=("h2",)) as connection:
            fields = [
                (":method", "POST"), (":scheme", "https"), (":authority", FAR),
                (":path", "/v1/messages"), ("content-length", str(len(BODY))),
            ]  # fmt: skip
            assert ask_h2(connection, fields, BODY.encode()).status == 200
        assert connects(world) == [f"CONNECT {FAR}:443"]


def test_a_websocket_passes(there: Company) -> None:
    there.far.scripts["/v1/live"] = Script(echo=True)
    context = ssl.create_default_context(cafile=there.run.ca_file)
    raw = there.run.tcp(there.run.address(FAR), 443)
    with connect(f"wss://{FAR}/v1/live", sock=raw, ssl=context, compression=None) as client:
        client.send("hello")
        assert client.recv() == "hello"
    assert connects(there) == [f"CONNECT {FAR}:443"]
    assert there.proxy.sink.wait().is_websocket


def test_a_websocket_is_refused_with_the_proxys_name(tmp_path: Path) -> None:
    with company(tmp_path, refusal=b"HTTP/1.1 407 Proxy Authentication Required") as world:
        context = ssl.create_default_context(cafile=world.run.ca_file)
        raw = world.run.tcp(world.run.address(FAR), 443)
        with pytest.raises(InvalidStatus) as refused:
            connect(f"wss://{FAR}/v1/live", sock=raw, ssl=context)
        assert b"(upstream_proxy)" in refused.value.response.body


@pytest.mark.parametrize("refusal", [b"HTTP/1.1 407 Who are you", b"HTTP/1.1 502 No way"])
@pytest.mark.parametrize("key", ["of-the-user", "sk-ccproxy-far"])
def test_a_refusal_names_the_proxy_and_the_setting(
    tmp_path: Path, refusal: bytes, key: str
) -> None:
    with company(tmp_path, refusal=refusal) as world:
        head, _, body = world.ask(key=key).partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 502")
        error = json.loads(body)
        assert error["type"] == "error"
        message = error["error"]["message"]
        assert f"the proxy 127.0.0.1:{world.corp.port} (upstream_proxy)" in message
        assert refusal.decode().removeprefix("HTTP/1.1 ") in message and PASSWORD not in message
        assert "(upstream_proxy)" in world.proxy.sink.wait().error


def test_unread_tls_passes_in_a_tunnel(tmp_path: Path) -> None:
    with company(tmp_path, ignore_hosts=[rf"^{FAR.replace('.', '[.]')}:443$"]) as world:
        context = ssl.create_default_context(cafile=world.authority.ca_file)
        raw = world.run.tcp(world.run.address(FAR), 443)
        with context.wrap_socket(raw, server_hostname=FAR) as connection:
            text = b"GET /x HTTP/1.1\r\nhost: far.test\r\nconnection: close\r\n\r\n"
            assert talk(connection, text).startswith(b"HTTP/1.1")
        assert connects(world) == [f"CONNECT {FAR}:443"]
        assert world.far.last.path == "/x"


def test_a_rule_still_leads_to_this_machine(tmp_path: Path) -> None:
    with Upstream() as here:
        local = provider("local", here.port, auth=None)
        moved = rule(match_model="^m$", dest_provider="local")
        with company(tmp_path, rules=(moved,), more=(local,)) as world:
            assert world.ask(key="sk-ccproxy-far").startswith("HTTP/1.1 200")
            assert world.corp.heads == [] and len(here.requests) == 1


OUTSIDE = "llm.outside.test"
"""Only the proxy knows its address."""


def test_a_name_that_only_the_proxy_can_look_up(tmp_path: Path) -> None:
    with company(tmp_path, names=(FAR, OUTSIDE)) as world:
        address = world.run.address(OUTSIDE)
        assert address == str(stand_in_address(OUTSIDE))
        assert world.run.address(OUTSIDE) == address
        assert world.ask(OUTSIDE).startswith("HTTP/1.1 200")
        assert connects(world) == [f"CONNECT {OUTSIDE}:443"]
        assert world.proxy.sink.wait(3).host == OUTSIDE


def test_an_exempt_name_that_is_not_found_stays_unknown(there: Company) -> None:
    assert there.run.lookup(f"nobody.{EXEMPT}").answers == []


@given(st.from_regex(r"[a-z]{1,20}\.[a-z]{1,9}", fullmatch=True))
def test_a_stand_in_is_an_address_of_nobody(name: str) -> None:
    address = stand_in_address(name)
    assert address in ip_network("198.18.0.0/15") and not address.is_global


def test_a_silent_proxy_is_named(tmp_path: Path) -> None:
    # A command's own traffic waits as long as the command does.
    with company(tmp_path, idle_timeout_s=0.5) as world:
        world.corp.is_silent = True
        answer = world.ask(key="sk-ccproxy-far")
        assert answer.startswith("HTTP/1.1 504")
        assert f"the proxy 127.0.0.1:{world.corp.port} (upstream_proxy)" in answer


def test_plain_http_passes_in_a_tunnel(tmp_path: Path) -> None:
    with Upstream() as plain, company(tmp_path) as world:
        world.corp.leads_to = plain.port
        with world.run.tcp(world.run.address(FAR), 80) as connection:
            text = b"GET /x HTTP/1.1\r\nhost: far.test\r\nconnection: close\r\n\r\n"
            assert talk(connection, text).startswith(b"HTTP/1.1")
        assert connects(world) == [f"CONNECT {FAR}:80"]
        assert plain.last.path == "/x"
