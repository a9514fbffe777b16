"""Leases: one line each way, a server for as long as the connection lives, nothing left after
it.
"""

from __future__ import annotations

import json
import logging
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from interceptor.wireguard.lease_client import short_path, take_lease
from providers.base.errors import ConfigError
from tests.interceptor.proxied import Running, running_proxy, snapshot
from tests.patience import PATIENCE_S


def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_bound(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


def test_a_path_that_is_too_long_for_a_socket(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 120)
    folder.mkdir()
    with running_proxy(snapshot(), config_dir=folder):
        lease, connection = take_lease(folder, label="a", command=["x"], egress=None)
        assert lease.port
        connection.close()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Running]]:
    directory = tmp_path_factory.mktemp("leases")
    with running_proxy(snapshot(), config_dir=directory) as proxy:
        yield directory, proxy


def test_a_lease_and_its_end(
    directory: tuple[Path, Running], caplog: pytest.LogCaptureFixture
) -> None:
    folder, proxy = directory
    with caplog.at_level(logging.DEBUG):
        lease, connection = take_lease(
            folder, label="a\x1b[1m", command=["curl", "a b"], egress=None
        )
        (run,) = list(proxy.proxy.runs)
        assert (run.label, run.command, run.id) == ("a [1m", "curl 'a b'", lease.lease)
        assert is_bound(lease.port)
        connection.close()
        until(lambda: not is_bound(lease.port))
    assert len(proxy.proxy.runs) == 0
    assert lease.private_key not in caplog.text and "PrivateKey" not in caplog.text
    assert sorted(path.name for path in (folder / "run").iterdir()) == [
        "lease.lock",
        "lease.sock",
    ], "no key is left"


def test_two_leases_have_nothing_in_common(directory: tuple[Path, Running]) -> None:
    first, one = take_lease(directory[0], label="a", command=["x"], egress=None)
    second, two = take_lease(directory[0], label="a", command=["x"], egress=None)
    with one, two:
        assert first.port != second.port and first.private_key != second.private_key
        assert first.peer_public_key != second.peer_public_key and first.lease != second.lease


def test_only_this_user_may_ask(directory: tuple[Path, Running]) -> None:
    assert stat.S_IMODE((directory[0] / "run").stat().st_mode) == 0o700
    assert stat.S_IMODE((directory[0] / "run" / "lease.sock").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"not json\n", "same version"),
        (b"[]\n", "same version"),
        (b'{"label": "x"}\n', "same version"),
        (b'{"label": 1, "command": ["a"]}\n', "same version"),
        (b'{"label": "x", "command": "a"}\n', "same version"),
        (b'{"label": "x", "command": ["a"], "egress": ["http://a/"]}\n', "http://a/"),
        (b'{"label": "x", "command": ["a"], "egress": [""]}\n', "no host"),
        (b'{"label": "x", "command": ["a"], "egress": ["a.test:443"]}\n', "a.test:443"),
    ],
)
def test_a_request_that_is_refused(directory: tuple[Path, Running], line: bytes, said: str) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE_S)
        with short_path(directory[0] / "run", "lease.sock") as path:
            client.connect(path)
        client.sendall(line)
        answer = json.loads(client.makefile().readline())
    assert said in answer["error"]
    assert len(directory[1].proxy.runs) == 0


def test_limits(tmp_path: Path) -> None:
    limits = {"max_leases": 1, "request_timeout_s": 0.5}
    with running_proxy(snapshot(), config_dir=tmp_path, wireguard_limits=limits):
        _, held = take_lease(tmp_path, label="a", command=["x"], egress=None)
        with held, pytest.raises(ConfigError, match="end one of them"):
            take_lease(tmp_path, label="b", command=["x"], egress=None)
        with socket.socket(socket.AF_UNIX) as silent:
            silent.settimeout(PATIENCE_S)
            with short_path(tmp_path / "run", "lease.sock") as path:
                silent.connect(path)
            assert silent.recv(10) == b"", "a launcher that says nothing is not waited for"


def test_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ccproxy start"):
        take_lease(tmp_path, label="a", command=["x"], egress=None)


def test_a_proxy_that_is_up_opens_its_socket_a_moment_later(tmp_path: Path) -> None:
    with running_proxy(snapshot(), config_dir=tmp_path):
        path = tmp_path / "run/lease.sock"
        path.rename(tmp_path / "run/aside.sock")
        asked: list[int] = []

        def is_up() -> bool:
            asked.append(len(asked))
            if len(asked) == 3:
                (tmp_path / "run/aside.sock").rename(path)
            return True

        lease, connection = take_lease(tmp_path, label="a", command=["x"], egress=None, is_up=is_up)
        assert lease.port and asked == [0, 1, 2]
        connection.close()
