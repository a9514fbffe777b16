"""A PostgreSQL server of one test run, where the machine has one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.environment import need
from tests.patience import PATIENCE_S


def _program(name: str) -> str | None:
    """A program of the server; Debian keeps them out of the PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(versions[-1]) if versions else None)


@contextmanager
def postgres(port: int) -> Iterator[str]:
    """A fresh server on loopback; yields the URL of its empty database."""
    initdb, server = _program("initdb"), _program("postgres")
    need("a PostgreSQL server", bool(initdb and server))
    # The server refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="ccproxy-pg-"))
    try:
        folder.chmod(0o755)
        data = folder / "data"
        if user:
            shutil.chown(folder, user)
        arguments = [str(initdb), "-D", str(data), "-U", "ccproxy", "-A", "trust", "--no-sync"]
        subprocess.run(arguments, user=user, check=True, capture_output=True, cwd="/")
        process = subprocess.Popen(
            [
                str(server),
                "-D",
                str(data),
                "-p",
                str(port),
                "-h",
                "127.0.0.1",
                "-k",
                str(folder),
                "-F",
            ],
            user=user,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            url = f"postgresql://ccproxy@127.0.0.1:{port}/postgres"
            _wait(url)
            yield url
        finally:
            process.terminate()
            process.wait(PATIENCE_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(url: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "PostgreSQL did not start"
            time.sleep(0.1)
