"""A Redis server of one test run, where the machine has one."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis as client

from tests.environment import need
from tests.patience import PATIENCE_S


@contextmanager
def redis(port: int) -> Iterator[str]:
    """A fresh server on loopback that keeps nothing; yields its URL."""
    server = shutil.which("redis-server")
    need("a Redis server", bool(server))
    with tempfile.TemporaryDirectory(prefix="ccproxy-redis-") as folder:
        process = subprocess.Popen(
            [
                str(server),
                "--port",
                str(port),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--dir",
                folder,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            url = f"redis://127.0.0.1:{port}/0"
            _wait(url)
            yield url
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def _wait(url: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    connection = client.Redis.from_url(url)
    while True:
        try:
            connection.ping()
            connection.close()
            return
        except client.ConnectionError:
            assert time.monotonic() < deadline, "Redis did not start"
            time.sleep(0.05)
