"""A ccproxy with the usual ports, and the demo that is played on it."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.process import Interceptor
from tests.ports import free_port

NOTICES = """
ccproxy:
  notices:
    kinds: [failure, cache_break, cooldown]
"""


def new_site(config: str = "", **environ: str) -> Interceptor:
    """Return an interceptor with the usual ports, which pictures show, and nothing recorded."""
    site = Interceptor(Path(tempfile.mkdtemp(prefix="ccproxy-pictures-")), config, **environ)
    site.port, site.console_port = _port(4000), _port(8083)
    site.environ["CCPROXY_PORT"] = str(site.port)
    site.environ["CCPROXY_INSPECTOR__PORT"] = str(site.console_port)
    return site


def _port(usual: int) -> int:
    """Return the usual port, which pictures show; another one where it is taken."""
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", usual))
        except OSError:
            return free_port()
    return usual


@contextlib.contextmanager
def demo_played(site: Interceptor) -> Iterator[str]:
    """Play the demo and keep its provider; yield the id of the agent's session."""
    command = [*site.program, "demo", "--keep"]
    playing = subprocess.Popen(
        command, cwd=site.cwd, env=site.environ, stdout=subprocess.PIPE, text=True
    )
    assert playing.stdout
    try:
        session = ""
        for line in playing.stdout:
            if found := re.search(r"/flows/session/(\S+)/", line):
                session = found[1]
            if "runs until" in line:
                break
        assert session, "the demo names its session"
        yield session
    finally:
        # A shell's background job ignores SIGINT, and so do its children.
        playing.terminate()
        playing.wait()
