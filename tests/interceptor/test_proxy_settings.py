"""Effects of server settings on the real proxy."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from interceptor.config.snapshot.store import ConfigStore
from interceptor.proxy import Proxy
from interceptor.proxy_settings import ProxySettings
from providers.auth.base import FileAuth
from providers.auth.registry import SecretRegistry
from providers.auth.resolve import CredentialResolver
from providers.base.errors import ConfigError
from tests.fakes.upstream import Script, Seen, Upstream
from tests.interceptor.proxied import (
    CA_DIR,
    KEYRING,
    ListSink,
    Running,
    provider,
    running_proxy,
    snapshot,
)
from tests.patience import PATIENCE_S

ASK = {"model": "demo", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}
HEADERS = {"x-api-key": "sk-ccproxy-up"}


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


def ask(proxy: Running) -> httpx.Response:
    return httpx.post(f"{proxy.url}/v1/messages", json=ASK, headers=HEADERS, timeout=PATIENCE_S)


def test_a_proxy_that_cannot_listen_leaves_nothing_behind() -> None:
    async def start(port: int) -> set[str]:
        proxy = Proxy(
            ProxySettings(
                store=ConfigStore(snapshot()),
                sink=ListSink(),
                resolver=CredentialResolver(open_keyring=lambda: KEYRING, secrets=SecretRegistry()),
                host="127.0.0.1",
                port=port,
                ca_dir=CA_DIR,
                version="test",
            )
        )
        with pytest.raises(ConfigError, match="does not listen on"):
            await proxy.start()
        return {task.get_name() for task in asyncio.all_tasks()}

    with socket.create_server(("127.0.0.1", 0)) as server:
        left = asyncio.run(start(server.getsockname()[1]))
    assert "mitmproxy" not in left


@pytest.mark.parametrize(
    "options",
    [
        {"allow_hosts": [r"^api\.example:443$"]},
        {"ignore_hosts": [".*"]},
        {"ignore_hosts": ["localhost", "127.0.0.1"]},
    ],
)
def test_hosts_of_captured_connections_do_not_concern_the_listener(
    upstream: Upstream, options: dict[str, Any]
) -> None:
    with running_proxy(snapshot(provider("up", upstream.port)), **options) as proxy:
        assert ask(proxy).status_code == 200
        assert len(upstream.requests) == 1


def test_stream_large_bodies_passes_a_large_error_on_in_pieces(upstream: Upstream) -> None:
    gate = threading.Event()
    pieces = (b"x" * 2000, b"the end")
    upstream.scripts["/v1/messages"] = Script(404, pieces=pieces, gate=gate)
    config = snapshot(provider("up", upstream.port))
    with running_proxy(config, stream_over_bytes=1000) as proxy:
        url = f"{proxy.url}/v1/messages"
        with httpx.stream("POST", url, json=ASK, headers=HEADERS, timeout=PATIENCE_S) as answer:
            # The provider has not sent its end: a held response would not have begun.
            received = answer.iter_raw()
            first = next(received)
            gate.set()
            assert first + b"".join(received) == b"".join(pieces)
        assert proxy.sink.of(answer).sides[-1].body == b"".join(pieces)


def test_a_small_error_is_held_whatever_stream_large_bodies_says(upstream: Upstream) -> None:
    upstream.scripts["/v1/messages"] = Script(404, pieces=(b"x" * 900, b"y" * 100))
    config = snapshot(provider("up", upstream.port))
    with running_proxy(config, stream_over_bytes=1000) as proxy:
        answer = ask(proxy)
        assert (answer.status_code, len(answer.content)) == (404, 1000)
        assert proxy.sink.of(answer).sides[-1].chunk_times == ()


def test_provider_timeout_limits_a_request_that_is_sent_again(
    upstream: Upstream, tmp_path: Path
) -> None:
    token, may_answer = tmp_path / "token", threading.Event()
    token.write_text("first-token-0001")

    def refuse_then_wait(seen: Seen) -> Script:
        if (seen.header("x-api-key") or "").startswith("first"):
            token.write_text("second-token-0002")
            return Script(401)
        may_answer.wait(PATIENCE_S)
        return Script(200)

    upstream.scripts["/v1/messages"] = refuse_then_wait
    auth = FileAuth(file=str(token), header="x-api-key")
    config = snapshot(provider("up", upstream.port, auth=auth))
    try:
        with running_proxy(config, own_call_timeout_s=0.3, idle_timeout_s=60) as proxy:
            answer = ask(proxy)
            assert answer.status_code == 504
            assert "sent nothing for 0.3 s" in answer.text
            assert len(upstream.requests) == 2
    finally:
        may_answer.set()
