"""The interceptor of a run: one that listens already, or one that lives as long as its runs.

Each run shares a lock. The keeper, which started the interceptor, waits for the lock alone: so the
interceptor outlives the run that started it while others use it, and ends when the last one did,
however that one died.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from interceptor.operate.command_settings import CommandSettings
from interceptor.operate.liveness import is_ccproxy, is_listening
from providers.base.errors import ConfigError
from providers.base.file_lock import FileLock
from providers.base.loopback import local_url, reachable_host

PORTS: Final = {
    "proxy": "CCPROXY_PORT",
    "console": "CCPROXY_INSPECTOR__PORT",
    "mcp": "CCPROXY_MCP__HTTP__PORT",
}
"""Variables that carry the ports of an interceptor of one's own."""
READY_TIMEOUT_S: Final = 90.0
LOG_NAME: Final = "own-interceptor.log"
_POLL_S: Final = 0.03
_PACKAGES: Final = str(Path(__file__).resolve().parents[2])


@dataclass(frozen=True, slots=True)
class Found:
    """An interceptor that answers."""

    proxy_url: str
    console_url: str
    lock: FileLock
    """Shared with other runs; an interceptor of one's own lives while it is held."""
    is_own: bool = False


def find_or_start(settings: CommandSettings, directory: Path) -> Found:
    """Return the interceptor of these settings; start one where nothing of ours listens.

    Raises:
        ConfigError: one sentence: it cannot be started.
    """
    # A missing parent is made with the process's own mask, so the directory comes first.
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = directory / "run"
    folder.mkdir(mode=0o700, exist_ok=True)
    shared = FileLock(folder / "own-interceptor.lock")
    # Waits for an interceptor that is just ending.
    shared.acquire_shared()
    if is_ccproxy(settings.host, settings.port):
        return Found(settings.proxy_url, settings.console_url, shared)
    with FileLock(folder / "own-interceptor.start.lock"):
        # Another run may have started one meanwhile, here or on ports of its own.
        if is_ccproxy(settings.host, settings.port):
            return Found(settings.proxy_url, settings.console_url, shared)
        return _start(settings, folder, shared)


def _start(settings: CommandSettings, folder: Path, shared: FileLock) -> Found:
    ports = free_ports(settings)
    environ = {**os.environ, **{PORTS[name]: str(port) for name, port in ports.items()}}
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, (_PACKAGES, environ.get("PYTHONPATH"))))
    log = folder / LOG_NAME
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        keeper = subprocess.Popen(  # noqa: S603  # our own module
            [sys.executable, "-P", "-m", "jail.run.keeper", str(folder / "own-interceptor.lock")],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            env=environ,
            # Its own session: Ctrl-C is meant for the command.
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
    _wait_until_ready(keeper, settings.host, ports["proxy"], log)
    return Found(
        local_url(settings.host, ports["proxy"]),
        local_url(settings.console_host, ports["console"]),
        shared,
        is_own=True,
    )


def _wait_until_ready(keeper: subprocess.Popen[bytes], host: str, port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not (is_listening(host, port) and is_ccproxy(host, port)):
        if keeper.poll() is not None:
            raise ConfigError(f"the proxy cannot be started: {_last_line(log)}")
        if time.monotonic() > deadline:
            keeper.terminate()
            raise ConfigError("the proxy did not start in time; see: ccproxy logs")
        time.sleep(_POLL_S)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("ccproxy: ") if lines else "see: ccproxy logs"


def free_ports(settings: CommandSettings) -> dict[str, int]:
    """Return the ports of the settings, each that is taken replaced by a free one."""
    wanted = {
        "proxy": (settings.host, settings.port),
        "console": (settings.console_host, settings.console_port),
        "mcp": (settings.mcp_host, settings.mcp_port),
    }
    return {name: _free_port(host, port) for name, (host, port) in wanted.items()}


def _free_port(host: str, port: int) -> int:
    address = reachable_host(host)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for candidate in (port, 0):
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ConfigError(f"no free port at {address}")
