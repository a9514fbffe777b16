"""The console's service: it starts and stops on a loop that goes on without it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx

from tests.environment import ROOT
from tests.patience import PATIENCE_S


def console(folder: Path, port: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.ccproxy_site.console.console_process", str(port)],
        cwd=ROOT,
        env={**os.environ, "CCPROXY_CONFIG_DIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_it_listens_until_it_is_stopped(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/static/ccproxy/nothing.css"
    with console(tmp_path, port) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        assert httpx.get(url, trust_env=False, timeout=PATIENCE_S).status_code in (302, 404)
        # The connection is open: the stop has to close it.
        output, _ = process.communicate("\n", timeout=PATIENCE_S)
    assert (output, process.returncode) == ("the loop runs\n", 0)


def test_an_address_that_is_taken_is_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with console(tmp_path, port) as process:
            output, _ = process.communicate(timeout=PATIENCE_S)
    assert output.splitlines() == [
        f"refused: the console cannot listen on 127.0.0.1:{port}; the log says why",
        "the loop runs",
    ]
    assert process.returncode == 0
