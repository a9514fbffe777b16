"""What a jail needs around it: a scripted api.anthropic.com behind TLS of a throwaway CA, and a
running interceptor that is told where to find it. Everything but the provider belongs to an
ordinary user.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.calls import CCPROXY
from tests.e2e.process import Interceptor, running
from tests.environment import ROOT, need
from tests.fakes.certificates import make_authority
from tests.fakes.upstream import Upstream
from tests.jail import user
from tests.patience import PATIENCE_S
from tests.warm.starter import SharedTemplate, can_be_warm, client_command

HOST = "api.anthropic.com"
OTHER = "elsewhere.example"
ADDRESS = "192.0.2.10"
TOOLS = ("slirp4netns", "wireguard-go", "iptables-restore", "curl")
_CONFIG = """
flows: {{default_jq_filters: []}}
inspector:
  keylog: true
  dns_overrides: {{{host}: {address}, {other}: 192.0.2.11}}
  upstream_overrides: {{{host}: "127.0.0.1:{port}", {other}: "127.0.0.1:{port}"}}
  mitmproxy: {{ssl_verify_upstream_trusted_ca: {ca}}}
"""


class World:
    """The provider, the interceptor, and how to run something in a jail of it."""

    def __init__(self, upstream: Upstream, interceptor: Interceptor, folder: Path) -> None:
        self.upstream = upstream
        self.interceptor = interceptor
        self.folder = folder
        """Belongs to the user; the working directory of commands."""

    @property
    def jails(self) -> Path:
        """Where running jails keep their files."""
        return self.interceptor.config_dir / "run/jails"

    def command(self, *words: str, options: tuple[str, ...] = ()) -> list[str]:
        """`ccproxy jail OPTIONS -- WORDS`, as the user."""
        return [*user.prefix(), *CCPROXY, "jail", *options, "--", *words]

    def environ(self, **more: str) -> dict[str, str]:
        """The user's environment."""
        return {
            **self.interceptor.environ,
            "HOME": str(self.folder),
            "PYTHONPATH": str(ROOT),
            **more,
        }

    def warm(self, words: Sequence[str], options: Sequence[str]) -> list[str]:
        """`command`, run by a process that has imported it: another one waits for it and ends so."""
        return client_command(self.interceptor.folder, [*CCPROXY, "jail", *options, "--", *words])

    def start(
        self, *words: str, options: tuple[str, ...] = (), is_warm: bool = False, **more: Any
    ) -> subprocess.Popen[str]:
        """Start a command in a jail; if it is not warm, the process is the launcher itself."""
        more = {
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "stdin": subprocess.DEVNULL,
        } | more
        environ = self.environ(**more.pop("environ", {}))
        # Benchmarks and runs that want nothing warm have no such process.
        is_forked = is_warm and can_be_warm(os.environ)
        command = self.warm(words, options) if is_forked else self.command(*words, options=options)
        return subprocess.Popen(command, cwd=self.folder, env=environ, text=True, **more)

    def run(
        self, *words: str, options: tuple[str, ...] = (), **more: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a jail to its end."""
        text = more.pop("input", None)
        process = self.start(
            *words,
            options=options,
            is_warm=True,
            **more,
            **({} if text is None else {"stdin": subprocess.PIPE}),
        )
        out, err = process.communicate(text, timeout=PATIENCE_S)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def python(
        self, code: str, *arguments: str, options: tuple[str, ...] = (), **more: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run Python code in a jail; `-I` keeps the tree's own packages out."""
        return self.run(sys.executable, "-I", "-c", code, *arguments, options=options, **more)


@contextmanager
def jail_world() -> Iterator[World]:
    """A running world."""
    for tool in TOOLS:
        need(tool, shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is not None)
    need("a writable /dev/net/tun", _tun_is_usable())
    folder = Path(tempfile.mkdtemp(prefix="jail-", dir="/tmp"))
    try:
        authority = make_authority(folder, HOST, OTHER)
        with Upstream(authority.server_context(["http/1.1"])) as upstream:
            config = _CONFIG.format(
                host=HOST, other=OTHER, address=ADDRESS, port=upstream.port, ca=authority.ca_file
            )
            interceptor = Interceptor(folder, config)
            interceptor.prefix = user.prefix()
            work = folder / "work"
            work.mkdir()
            user.give(folder)
            made = World(upstream, interceptor, work)
            with running(interceptor), _warm_launcher(made):
                yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _warm_launcher(world: World) -> Iterator[None]:
    """The process that is forked for commands, as the user: half of their CPU time is imports."""
    if not can_be_warm(os.environ):
        yield
        return
    # A test finds the processes of this world by their variables.
    launcher = SharedTemplate(
        world.interceptor.folder, user.prefix(), world.environ(), ("jail.launcher", "jail.command")
    )
    yield
    launcher.end()


def _tun_is_usable() -> bool:
    path = Path("/dev/net/tun")
    return path.exists() and (
        path.stat().st_mode & 0o006 == 0o006 or (os.getuid() != 0 and os.access(path, os.W_OK))
    )
