"""The listener for clients outside, and the one process that serves leases."""

from __future__ import annotations

import configparser
import stat
from pathlib import Path

import pytest

from interceptor.wireguard.client_config import stored_client_config
from interceptor.wireguard.lease import RunBook
from interceptor.wireguard.lease_client import SOCKET_NAME
from interceptor.wireguard.service import LOCK_NAME, WireGuardService, WireGuardSettings
from jail.wireguard.noise import Keys
from jail.wireguard.peer import decode_key
from providers.base.errors import ConfigError
from tests.interceptor.proxied import Running
from tests.interceptor.wireguard.test_lease import until


def settings(directory: Path, port: int | None) -> WireGuardSettings:
    return WireGuardSettings(directory, "127.0.0.1", 4000, port, retry_s=0.02)


def call(proxy: Running, directory: Path, port: int | None) -> WireGuardService:
    """Another service in the proxy's loop."""
    service = WireGuardService(settings(directory, port), RunBook())

    async def start() -> None:
        await service.start(proxy.proxy._master.addons.get("proxyserver"))

    proxy.on_loop(start())
    return service


def test_the_client_gets_a_configuration_that_works(proxy: Running, tmp_path: Path) -> None:
    service = call(proxy, tmp_path, 0)
    found = configparser.ConfigParser()
    found.read_string(stored_client_config(tmp_path, 0))
    port = int(found["Peer"]["Endpoint"].removeprefix("127.0.0.1:"))
    assert port > 0 and found["Interface"]["DNS"] == "10.0.0.53"
    Keys.from_raw(
        decode_key(found["Interface"]["PrivateKey"]), decode_key(found["Peer"]["PublicKey"])
    )
    for name in ("wireguard.conf", "wireguard-client.conf"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    proxy.on_loop(service.stop())
    with pytest.raises(ConfigError, match="ccproxy start"):
        stored_client_config(tmp_path, 0)


def test_its_keys_stay(proxy: Running, tmp_path: Path) -> None:
    keys = []
    for _ in range(2):
        service = call(proxy, tmp_path, 0)
        keys.append(stored_client_config(tmp_path, 0).split("\nAddress")[0])
        proxy.on_loop(service.stop())
    assert keys[0] == keys[1]


def test_there_is_none_unless_asked_for(proxy: Running, tmp_path: Path) -> None:
    service = call(proxy, tmp_path, None)
    with pytest.raises(ConfigError, match="wireguard_port"):
        stored_client_config(tmp_path, None)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    proxy.on_loop(service.stop())


def test_a_key_file_that_is_damaged(proxy: Running, tmp_path: Path) -> None:
    (tmp_path / "wireguard.conf").write_text("{}")
    with pytest.raises(ConfigError, match="delete it"):
        call(proxy, tmp_path, 0)


def test_a_port_that_is_taken(proxy: Running, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    service = call(proxy, tmp_path / "a", 0)
    port = int(stored_client_config(tmp_path / "a", 0).rpartition(":")[2])
    with pytest.raises(ConfigError, match="wireguard_port"):
        call(proxy, tmp_path / "b", port)
    proxy.on_loop(service.stop())


def test_one_process_serves_and_the_next_takes_over(proxy: Running, tmp_path: Path) -> None:
    first, second = call(proxy, tmp_path, None), call(proxy, tmp_path, None)
    assert first.is_serving and not second.is_serving
    assert (tmp_path / "run" / LOCK_NAME).exists()
    proxy.on_loop(first.stop())

    until(lambda: second.is_serving and (tmp_path / "run" / SOCKET_NAME).exists())
    proxy.on_loop(second.stop())
