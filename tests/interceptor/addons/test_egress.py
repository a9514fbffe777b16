"""A credential goes to its own provider's host, over verified TLS, and nowhere else, whatever
anybody says.

Names are dialled as in real life, only that the connections end at scripted servers: `good.test` is
the provider, every other name is the attacker's server, which has a certificate that the proxy
trusts.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.exceptions import ValidationError

from providers.models import Provider
from providers.validation import validate_provider
from tests.fakes.certificates import make_authority
from tests.fakes.upstream import Script, Upstream
from tests.interceptor.proxied import Running, key_auth, provider, rule, running_proxy, snapshot
from tests.patience import PATIENCE_S

CANARY = "canary-5d1e7f20a9b34c68"
OTHER = "other-key-77aa66bb55cc44dd"
BODY = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
HEADERS = {"x-api-key": "sk-ccproxy-good"}


@dataclass
class World:
    """Two servers with names, and what was dialled."""

    good: Upstream
    evil: Upstream
    evil_plain: Upstream
    ca_file: str
    dialled: list[tuple[str, int]] = field(default_factory=list)

    def seen_by_evil(self) -> str:
        """Everything that arrived there."""
        seen = [*self.evil.requests, *self.evil_plain.requests]
        return "\n".join(
            request.head.decode("latin-1") + request.body.decode("latin-1") for request in seen
        )


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    authority = make_authority(tmp_path, "good.test", "evil.test", "other.test")
    context = authority.server_context(["http/1.1"])
    with Upstream(context) as good, Upstream(context) as evil, Upstream() as plain:
        world = World(good, evil, plain, str(authority.ca_file))
        dial = asyncio.open_connection

        async def open_connection(host: str, port: int, **more: Any) -> Any:
            world.dialled.append((host, port))
            server = good if host == "good.test" and port == 443 else plain if port == 80 else evil
            return await dial("127.0.0.1", server.port)

        monkeypatch.setattr(asyncio, "open_connection", open_connection)
        yield world


def good_provider(**more: Any) -> Any:
    auth = key_auth("x-api-key", CANARY)
    port = 80 if more.get("scheme") == "http" else 443
    return provider(
        "good",
        more.pop("port", port),
        **{"host": "good.test", "scheme": "https", "auth": auth} | more,
    )


def other_provider() -> Any:
    auth = key_auth("x-api-key", OTHER)
    return provider("other", 443, host="other.test", scheme="https", auth=auth)


def run(world: World, *providers: Any, rules: tuple[Any, ...] = (), **options: Any) -> Any:
    options.setdefault("ssl_verify_upstream_trusted_ca", world.ca_file)
    return running_proxy(snapshot(*(providers or (good_provider(),)), rules=rules), **options)


def post(proxy: Running, path: str = "/v1/messages", **more: Any) -> httpx.Response:
    values: dict[str, Any] = {"json": BODY, "headers": HEADERS} | more
    return httpx.post(f"{proxy.url}{path}", **values)


def test_the_credential_reaches_its_own_host(world: World) -> None:
    with run(world) as proxy:
        assert post(proxy).status_code == 200
    assert world.good.last.header("x-api-key") == CANARY
    assert world.dialled == [("good.test", 443)]


@pytest.mark.parametrize(
    "raw",
    [
        rule(dest_provider="good", dest_host="evil.test"),
        rule("transform", dest_provider="good", dest_host="evil.test"),
        rule(dest_host="evil.test"),
        rule(dest_host="evil.test", dest_path="/v1/messages"),
        rule(dest_host="good.test.evil.test"),
    ],
    ids=["provider-and-host", "transform", "host", "host-and-path", "look-alike"],
)
def test_a_rule_to_another_host(world: World, raw: Any) -> None:
    with run(world, rules=(raw,), ssl_insecure=True) as proxy:
        post(proxy)
        record = proxy.sink.wait()
    assert world.evil.requests, "the rule was followed"
    assert CANARY not in world.seen_by_evil() and "sk-ccproxy" not in world.seen_by_evil()
    assert not record.credential_injected
    assert world.good.requests == []


def test_a_rule_to_another_provider_gives_that_one_its_own(world: World) -> None:
    with run(
        world, good_provider(), other_provider(), rules=(rule(dest_provider="other"),)
    ) as proxy:
        post(proxy)
    assert OTHER in world.seen_by_evil() and CANARY not in world.seen_by_evil()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location", ["https://evil.test/v1/messages", "//evil.test/x", "http://evil.test/"]
)
def test_a_redirect_is_passed_on_and_not_followed(world: World, status: int, location: str) -> None:
    world.good.scripts["/v1/messages"] = Script(
        status=status, headers=(("location", location),), pieces=(b"",)
    )
    with run(world) as proxy:
        answer = post(proxy)
    assert (answer.status_code, answer.headers["location"]) == (status, location)
    assert world.dialled == [("good.test", 443)]
    assert CANARY not in str(answer.headers) + answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-host": "evil.test"},
        {"x-forwarded-host": "evil.test", "forwarded": "host=evil.test"},
        {"x-host": "evil.test", "x-original-host": "evil.test", "x-forwarded-server": "evil.test"},
        {
            "x-base-url": "https://evil.test",
            "x-api-base": "https://evil.test",
            "api-base": "https://evil.test",
        },
        {
            "x-ccproxy-host": "evil.test",
            "x-ccproxy-upstream": "https://evil.test",
            "x-ccproxy-provider": "other",
        },
        {"x-ccproxy-hooks": "-inject_auth, +evil"},
        {"x-original-url": "https://evil.test/", "x-rewrite-url": "https://evil.test/"},
        {":authority": "evil.test"},
        {"proxy-authorization": "Basic eA==", "via": "1.1 evil.test"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_headers_that_name_a_host(world: World, headers: dict[str, str]) -> None:
    with run(world, good_provider(), other_provider()) as proxy:
        if ":authority" in headers:
            line = (
                "POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\n:authority:"
                " evil.test\r\nx-api-key: sk-ccproxy-good"
            )
            talk(proxy.port, f"{line}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        else:
            post(proxy, headers=HEADERS | headers)
    assert set(world.dialled) <= {("good.test", 443)}
    assert world.seen_by_evil() == ""


@pytest.mark.parametrize(
    "head",
    [
        "POST /v1/messages HTTP/1.1\r\nHost: evil.test",
        "POST /v1/messages HTTP/1.1\r\nHost: good.test\r\nHost: evil.test",
        "POST /v1/messages HTTP/1.1\r\nHost: evil.test@good.test",
        "POST https://evil.test/v1/messages HTTP/1.1\r\nHost: good.test",
        "POST http://evil.test/v1/messages HTTP/1.1\r\nHost: 127.0.0.1",
        "POST http://good.test@evil.test/v1/messages HTTP/1.1\r\nHost: good.test",
        "CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443",
        "POST //evil.test/v1/messages HTTP/1.1\r\nHost: 127.0.0.1",
        "POST /@evil.test/v1/messages HTTP/1.1\r\nHost: 127.0.0.1",
        "POST /\\evil.test/v1/messages HTTP/1.1\r\nHost: 127.0.0.1",
        (
            "POST /v1/messages?api_base=https://evil.test&base_url=https://evil.test"
            " HTTP/1.1\r\nHost: 127.0.0.1"
        ),
        "POST /v1/messages HTTP/1.1\r\nHost: good.test",
        "POST /v1/messages#@evil.test HTTP/1.1\r\nHost: 127.0.0.1",
    ],
)
def test_targets_and_hosts_that_name_another(world: World, head: str) -> None:
    with run(world) as proxy:
        talk(
            proxy.port,
            f"{head}\r\nx-api-key: sk-ccproxy-good\r\nContent-Length: 2\r\n\r\n{{}}".encode(),
        )
    assert set(world.dialled) <= {("good.test", 443)}
    assert world.seen_by_evil() == ""


@pytest.mark.parametrize(
    "name", ["api_base", "base_url", "endpoint", "provider", "host", "url", "metadata"]
)
def test_a_body_that_names_a_base_url(world: World, name: str) -> None:
    value: Any = {"api_base": "https://evil.test"} if name == "metadata" else "https://evil.test"
    with run(world, good_provider(), other_provider()) as proxy:
        post(proxy, json=BODY | {name: value})
    assert world.dialled == [("good.test", 443)]
    assert world.seen_by_evil() == ""


def test_a_model_that_is_a_path(world: World) -> None:
    google = good_provider(type="google", path="/v1beta/models/{model}:{action}")
    with run(world, google) as proxy:
        for model in (
            "x@evil.test",
            "../../evil.test",
            "//evil.test/x",
            "x?key=y",
            "https://evil.test/",
        ):
            post(
                proxy,
                "/v1/chat/completions",
                json={"model": model, "messages": [{"role": "user", "content": "x"}]},
            )
    assert set(world.dialled) <= {("good.test", 443)}


def test_a_provider_without_tls_is_refused_when_saved() -> None:
    row = Provider(
        name="p",
        type="anthropic",
        host="good.test",
        scheme="http",
        path="/v1/messages",
        auth_type="key",
    )
    with pytest.raises(ValidationError) as refused:
        validate_provider(row)
    assert "https" in str(refused.value)


@pytest.mark.parametrize(
    "more", [{"scheme": "http"}, {"verify_tls": False}, {"scheme": "http", "port": 443}]
)
def test_a_provider_that_got_around_the_check_gets_no_credential(
    world: World, more: dict[str, Any]
) -> None:
    with run(world, good_provider(**more), ssl_insecure=True) as proxy:
        post(proxy)
        record = proxy.sink.wait()
    everything = world.seen_by_evil() + "".join(seen.head.decode() for seen in world.good.requests)
    assert CANARY not in everything and not record.credential_injected


@pytest.mark.parametrize(
    "names", [("good.test",), ("someone-else.test",)], ids=["unknown-authority", "another-name"]
)
@pytest.mark.parametrize("insecure", [False, True])
def test_a_bad_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], insecure: bool
) -> None:
    folders = [tmp_path / "ours", tmp_path / "theirs"]
    for folder in folders:
        folder.mkdir()
    trusted = make_authority(folders[0], *names)
    shown = make_authority(folders[1], *names) if "good.test" in names else trusted
    dial = asyncio.open_connection
    with Upstream(shown.server_context(["http/1.1"])) as server:
        monkeypatch.setattr(
            asyncio, "open_connection", lambda *_, **__: dial("127.0.0.1", server.port)
        )
        config = snapshot(good_provider())
        options: dict[str, Any] = {
            "ssl_verify_upstream_trusted_ca": str(trusted.ca_file),
            "ssl_insecure": insecure,
        }
        with running_proxy(config, **options) as proxy:
            answer = post(proxy)
        assert answer.status_code == 502 and answer.json()["type"] == "error"
        assert "ertificate" in answer.json()["error"]["message"]
        assert server.requests == []


def test_a_connection_from_before_a_credential_was_stored_carries_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client keeps its connection, the proxy kept an unverified one behind it; then a
    credential is stored.
    """
    shown = make_authority(tmp_path, "good.test")
    dial = asyncio.open_connection
    with Upstream(shown.server_context(["http/1.1"])) as server:
        monkeypatch.setattr(
            asyncio, "open_connection", lambda *_, **__: dial("127.0.0.1", server.port)
        )
        bare = snapshot(good_provider(auth=None))
        with (
            running_proxy(bare, ssl_insecure=True) as proxy,
            httpx.Client(base_url=proxy.url) as client,
        ):
            client.post("/v1/messages", json=BODY, headers={**HEADERS, "x-mark": "1"})
            client.post("/v1/messages", json=BODY, headers={**HEADERS, "x-mark": "2"})
            assert [seen.connection for seen in server.requests] == [
                1,
                1,
            ], "it is kept as long as nothing changes"
            proxy.store.replace(snapshot(good_provider()))
            answer = client.post("/v1/messages", json=BODY, headers=HEADERS)
            assert answer.status_code == 502 and "ertificate" in answer.json()["error"]["message"]
            proxy.store.replace(bare)
            assert client.post("/v1/messages", json=BODY, headers=HEADERS).status_code == 200
        assert CANARY not in "".join(seen.head.decode() for seen in server.requests)


def test_a_websocket_that_a_rule_sends_elsewhere(world: World) -> None:
    upgrade = (
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version:"
        " 13\r\nSec-WebSocket-Key: eHh4eHh4\r\n"
    )
    with run(world, rules=(rule(dest_host="evil.test"),)) as proxy:
        talk(
            proxy.port,
            f"GET /v1/x HTTP/1.1\r\nHost: localhost\r\nx-api-key: sk-ccproxy-good\r\n{upgrade}\r\n".encode(),
        )
    assert CANARY not in world.seen_by_evil()


def test_errors_do_not_show_it(world: World) -> None:
    world.good.scripts["/v1/messages"] = Script(reset_after=0)
    with run(world) as proxy:
        answer = post(proxy)
        record = proxy.sink.wait()
    assert answer.status_code == 502
    assert CANARY not in answer.text + str(answer.headers) + record.error + json.dumps(
        record.metadata
    )


def talk(port: int, data: bytes) -> bytes:
    """Send exact bytes; what comes back, up to the end of the headers or of the connection."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client:
        client.sendall(data)
        with contextlib.suppress(ConnectionError):
            while b"\r\n\r\n" not in got and (more := client.recv(65536)):
                got += more
    return got
