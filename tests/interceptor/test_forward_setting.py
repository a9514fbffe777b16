"""The forward proxy of the settings: for clients with a token, on loopback too."""

from __future__ import annotations

import base64
import http.client
import socket
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from interceptor.config.snapshot.schema import ClientTokenConf
from interceptor.operate.ports import check_forward_listener
from interceptor.wireguard.overrides import parse_overrides
from providers.base.errors import ConfigError
from tests.fakes.upstream import Upstream
from tests.interceptor.proxied import Running, provider, running_proxy, snapshot
from tests.patience import PATIENCE_S

TOKENS = {"cct-all": frozenset[str](), "cct-chat": frozenset({"chat"})}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Upstream() as server:
        tokens = tuple(
            ClientTokenConf(name, sha256(name.encode()).hexdigest(), providers)
            for name, providers in TOKENS.items()
        )
        conf = replace(snapshot(provider("chat", 80, host="chat.test")), client_tokens=tokens)
        at = f"127.0.0.1:{server.port}"
        with running_proxy(
            conf,
            config_dir=tmp_path_factory.mktemp("static"),
            overrides=parse_overrides({}, {"chat.test": at, "files.test": at}),
            wireguard_limits={"forward_port": 0},
        ) as running:
            yield running


def status(proxy: Running, host: str, token: str = "", *, authority: str = "") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.proxy.forward_port, PATIENCE_S)
    headers = {"Host": host}
    if token:
        shown = base64.b64encode(f"me:{token}".encode()).decode()
        headers["Proxy-Authorization"] = f"Basic {shown}"
    try:
        connection.request("GET", f"http://{authority or host}/health", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_client_with_a_token_is_let_in(proxy: Running) -> None:
    assert status(proxy, "chat.test", "cct-all") == 200
    assert status(proxy, "files.test", "cct-all") == 200
    record = proxy.sink.wait()
    assert (record.source, record.run_label, record.action) == ("forward", "", "passthrough")


@pytest.mark.parametrize("token", ["", "cct-nobody", "cct-al"])
def test_others_are_not(proxy: Running, token: str) -> None:
    assert status(proxy, "chat.test", token) == 407


def test_a_tokens_providers_are_its_hosts(proxy: Running) -> None:
    assert status(proxy, "chat.test", "cct-chat") == 200
    assert status(proxy, "files.test", "cct-chat") == 403


def test_this_machine_is_closed_to_it_too(proxy: Running) -> None:
    assert status(proxy, "127.0.0.1", "cct-all") == 403


def test_it_does_not_start_without_a_token() -> None:
    with pytest.raises(ConfigError, match="clienttoken add"):
        check_forward_listener(8080, has_client_token=False)
    check_forward_listener(8080, has_client_token=True)
    check_forward_listener(None, has_client_token=False)


def test_it_is_off_by_default(tmp_path: Path) -> None:
    with running_proxy(snapshot(), config_dir=tmp_path) as running:
        assert running.proxy.forward_port == 0
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", running.proxy.forward_port), 1).close()
