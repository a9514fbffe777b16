"""A request over HTTP/2 leaves with exactly one host, whatever the upstream speaks."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.certificates import Authority, make_authority
from tests.fakes.http2 import Http2Upstream
from tests.fakes.http2_client import Fields, H2Answer, ask_h2
from tests.fakes.upstream import Script, Seen, Upstream
from tests.interceptor.proxied import provider, rule, running_proxy, snapshot
from tests.interceptor.wireguard.tunnel import need_tunnel
from tests.interceptor.wireguard.world import CANARY, OTHER, World, running_world
from tests.patience import PATIENCE_S

RULES = (
    rule(name="moved", match_model="^moved$", dest_provider="other"),
    rule(name="local", match_model="^local$", dest_provider="local"),
    rule("transform", name="translated", match_model="^translated$", dest_provider="local-chat"),
)
CHAT = b'{"choices": [{"message": {"role": "assistant", "content": "hi"}}]}'


@dataclass
class Worlds:
    """A world whose providers speak HTTP/2, and the plain HTTP/1.1 server on this machine."""

    world: World
    here: Upstream


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    need_tunnel()
    with Upstream() as here:
        local = provider("local", here.port, auth=None)
        chat = provider(
            "local-chat", here.port, type="openai", path="/v1/chat/completions", auth=None
        )
        folder = tmp_path_factory.mktemp("http2")
        with running_world(folder, rules=RULES, more=(local, chat), http2=True) as world:
            yield Worlds(world, here)


def fields_of(host: str, body: bytes, key: str, *, with_host: bool = False) -> Fields:
    headers = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", host),
        (":path", "/v1/messages"),
        ("x-api-key", key),
        ("content-length", str(len(body))),
    ]
    if with_host:
        headers.insert(4, ("host", host))
    return headers


def body_of(model: str) -> bytes:
    messages = [{"role": "user", "content": "hi"}]
    return json.dumps({"model": model, "max_tokens": 1, "messages": messages}).encode()


def ask(world: World, model: str, host: str = "good.test", **more: Any) -> H2Answer:
    body = body_of(model)
    address = world.run.address(host)
    with world.run.tls(address, host, alpn=("h2", "http/1.1")) as connection:
        assert connection.selected_alpn_protocol() == "h2"
        return ask_h2(connection, fields_of(host, body, "sk-ccproxy-good", **more), body)


def hosts_of(seen: Seen, authority: str = "") -> set[str]:
    """Every name that a request gives its host; a strict server wants exactly one."""
    named = [value for name, value in seen.headers if name.lower() == "host"]
    assert len(named) <= 1
    return {*named, *filter(None, [authority])}


def good_of(world: World) -> Http2Upstream:
    assert isinstance(world.good, Http2Upstream)
    return world.good


@pytest.mark.parametrize("with_host", [False, True])
@pytest.mark.parametrize(
    ("model", "host", "key"), [("any", "good.test", CANARY), ("moved", "other.test", OTHER)]
)
def test_to_an_http2_provider(
    worlds: Worlds, model: str, host: str, key: str, with_host: bool
) -> None:
    worlds.world.forget()
    good = good_of(worlds.world)
    good.authorities.clear()
    assert ask(worlds.world, model, with_host=with_host).status == 200
    assert good.last.version == "HTTP/2" and good.last.header("x-api-key") == key
    assert good.authorities == [host]
    assert hosts_of(good.last) == ({host} if with_host else set())


@pytest.mark.parametrize("with_host", [False, True])
@pytest.mark.parametrize(
    ("model", "path"), [("local", None), ("translated", "/v1/chat/completions")]
)
def test_to_an_http1_provider(
    worlds: Worlds, model: str, path: str | None, with_host: bool
) -> None:
    worlds.world.forget()
    worlds.here.scripts["/v1/chat/completions"] = Script(pieces=(CHAT,))
    assert ask(worlds.world, model, with_host=with_host).status == 200
    seen = worlds.here.last
    assert seen.version == "HTTP/1.1" and seen.path == (path or "/v1/messages")
    assert hosts_of(seen) == {f"127.0.0.1:{worlds.here.port}"}


@pytest.mark.parametrize("key", ["sk-ccproxy-good", "key-of-the-user"])
def test_unmoved_to_a_provider_of_http1(tmp_path: Path, key: str) -> None:
    need_tunnel()
    with running_world(tmp_path) as world:
        body = body_of("any")
        address = world.run.address("good.test")
        with world.run.tls(address, "good.test", alpn=("h2", "http/1.1")) as connection:
            if connection.selected_alpn_protocol() != "h2":
                pytest.skip("the proxy offers a captured client no more than its server does")
            assert ask_h2(connection, fields_of("good.test", body, key), body).status == 200
        assert hosts_of(world.good.last) == {"good.test"}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return make_authority(tmp_path)


def ask_listener(port: int, authority: Authority, key: str, *, with_host: bool) -> H2Answer:
    """Ask the reverse listener over TLS and HTTP/2."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    body = body_of("any")
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        assert connection.selected_alpn_protocol() == "h2"
        fields = fields_of(f"localhost:{port}", body, key, with_host=with_host)
        return ask_h2(connection, fields, body)


@pytest.mark.parametrize("with_host", [False, True])
def test_from_the_proxys_own_port(authority: Authority, with_host: bool) -> None:
    modern_tls = authority.server_context(["h2", "http/1.1"])
    with Http2Upstream(modern_tls) as modern, Upstream() as plain:
        config = snapshot(
            provider("modern", modern.port, scheme="https", host="localhost"),
            provider("plain", plain.port),
        )
        trusted = str(authority.ca_file)
        with running_proxy(config, ssl_verify_upstream_trusted_ca=trusted) as proxy:
            for name in ("modern", "plain"):
                key = f"sk-ccproxy-{name}"
                assert ask_listener(proxy.port, authority, key, with_host=with_host).status == 200
        assert modern.authorities == [f"localhost:{modern.port}"]
        assert hosts_of(modern.last, modern.authorities[0]) == {f"localhost:{modern.port}"}
        assert hosts_of(plain.last) == {f"127.0.0.1:{plain.port}"}
