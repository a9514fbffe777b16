"""The installed commands as processes, with a config directory of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.calls import CCPROXY, ROOT
from tests.new_database import put_tables
from tests.patience import PATIENCE_S
from tests.ports import free_port
from tests.warm.starter import run_script


@dataclass
class Cli:
    """Runs `ccproxy` with its own config directory and ports that nobody listens on."""

    directory: Path
    ports: dict[str, int]
    makes_tables: bool = False
    """The first command makes the tables; else it finds them made, and no rows."""

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
        command = [*CCPROXY, *arguments]
        folder = cwd or self.directory.parent
        return run_script(command, self.environ(**extra), folder, stdin, timeout_s=PATIENCE_S)


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


class _Health(BaseHTTPRequestHandler):
    """Answers as a proxy of ours does, and says nothing else."""

    def do_GET(self) -> None:
        body = b'{"status": "ok", "revision": 1}'
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[str]:
    """The port of a proxy that records nothing."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield str(server.server_port)
        server.shutdown()
