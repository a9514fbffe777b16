"""The installed commands as processes, with a config directory of their own."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.calls import CCPROXY, ROOT
from tests.new_database import put_tables
from tests.patience import PATIENCE_S


@dataclass
class Cli:
    """Runs `ccproxy` with its own config directory and ports that nobody listens on."""

    directory: Path
    ports: dict[str, int]
    makes_tables: bool = False
    """The first command runs the migrations; else it finds the tables made, and no rows."""

    def environ(self, **extra: str) -> dict[str, str]:
        kept = {
            name: os.environ[name]
            for name in ("PATH", "HOME", "LANG", "TMPDIR")
            if name in os.environ
        }
        return {
            **kept,
            "PYTHONPATH": str(ROOT),
            "CCPROXY_CONFIG_DIR": str(self.directory),
            "CCPROXY_PORT": str(self.ports["proxy"]),
            "CCPROXY_INSPECTOR__PORT": str(self.ports["console"]),
            "CCPROXY_MCP__HTTP__PORT": str(self.ports["mcp"]),
            **extra,
        }

    def __call__(
        self, *arguments: str, stdin: str = "", cwd: Path | None = None, **extra: str
    ) -> subprocess.CompletedProcess[str]:
        if not self.makes_tables:
            self.directory.mkdir(mode=0o700, exist_ok=True)
            put_tables(self.directory)
        return subprocess.run(
            [*CCPROXY, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=self.environ(**extra),
            cwd=cwd or self.directory.parent,
            timeout=PATIENCE_S,
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def ccproxy(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "cfg", {name: free_port() for name in ("proxy", "console", "mcp")})


@pytest.fixture
def bare_ccproxy(ccproxy: Cli) -> Cli:
    """`ccproxy` without a config directory; the first command makes everything."""
    return replace(ccproxy, makes_tables=True)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server
