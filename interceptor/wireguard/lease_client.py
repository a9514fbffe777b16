"""The launcher's side of a lease. Standard library only.

One line of JSON goes over the unix socket `run/lease.sock` of the config directory, one comes back.
The connection is the lease: when it closes, the interceptor stops the server.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from providers.base.errors import ConfigError

RUN_DIR = "run"
SOCKET_NAME = "lease.sock"
TIMEOUT_S = 10.0
OPENING_S = 3.0
"""A proxy answers on its port a moment before it opens this socket."""
_POLL_S = 0.02
MAX_LINE_BYTES = 256 * 1024
_OTHER_VERSION = (
    "the proxy that runs is of another version than this command; start it again: ccproxy start"
)
_LONGEST_PATH = 100
"""The kernel takes 107 bytes (unix(7))."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A WireGuard server that is ours for as long as the connection stays open.

    Keys are base64. `proxy_host` and `proxy_port` are the reverse listener, as seen from the host.
    """

    port: int
    private_key: str
    peer_public_key: str
    dns: str
    proxy_host: str
    proxy_port: int
    lease: str


def take_lease(
    directory: Path,
    *,
    label: str,
    command: Sequence[str],
    egress: Sequence[str] | None,
    is_up: Callable[[], bool] = lambda: False,
) -> tuple[Lease, socket.socket]:
    """Ask for a server; keep the socket open for as long as it is needed.

    Args:
        directory: the config directory.
        label: the run's name in the console.
        command: what will run there.
        egress: the only hosts it may reach; None: any.
        is_up: tells whether a proxy answers, so that the socket is worth waiting for.

    Raises:
        ConfigError: one sentence: nothing runs, or the request was refused.
    """
    asked = {
        "label": label,
        "command": list(command),
        "egress": None if egress is None else list(egress),
    }
    answer, connection = _ask(directory, asked, is_up)
    try:
        lease = Lease(**{name: answer[name] for name in Lease.__dataclass_fields__})
    except (TypeError, KeyError):
        connection.close()
        raise ConfigError(_OTHER_VERSION) from None
    return lease, connection


def _ask(
    directory: Path, asked: dict[str, Any], is_up: Callable[[], bool]
) -> tuple[dict[str, Any], socket.socket]:
    """Send a request; return the proxy's answer and the connection.

    Raises:
        ConfigError: one sentence: nothing runs, or the request was refused.
    """
    try:
        connection = _connected(directory, is_up)
    except OSError:
        raise ConfigError(
            "nothing runs that could capture this command; start it with: ccproxy start"
        ) from None
    try:
        line = json.dumps({**asked, "pid": os.getpid(), "uid": os.getuid()})
        connection.sendall(line.encode("utf-8", "surrogateescape") + b"\n")
        answer = _parse(_read_line(connection))
        connection.settimeout(None)
    except TimeoutError:
        connection.close()
        raise ConfigError("the proxy did not answer in time; see: ccproxy logs") from None
    except OSError:
        connection.close()
        raise ConfigError("the proxy ended while it was asked; see: ccproxy logs") from None
    except BaseException:
        connection.close()
        raise
    return answer, connection


def _connected(directory: Path, is_up: Callable[[], bool]) -> socket.socket:
    """Connect, and wait for the socket while a proxy is up that has not opened it yet.

    Raises:
        OSError: nothing serves this config directory.
    """
    deadline = time.monotonic() + OPENING_S
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(TIMEOUT_S)
            with short_path(directory / RUN_DIR, SOCKET_NAME) as path:
                connection.connect(path)
        except OSError:
            connection.close()
            if time.monotonic() >= deadline or not is_up():
                raise
        else:
            return connection
        time.sleep(_POLL_S)


def take_forward_lease(
    directory: Path, *, label: str, command: Sequence[str], hosts: Sequence[str], reads_all: bool
) -> tuple[str, socket.socket]:
    """Ask for a forward listener; keep the socket open for as long as it is needed.

    Return the proxy's URL, with the run's own credentials, and the socket.

    Args:
        directory: the config directory.
        label: the run's name in the console.
        command: what will use it.
        hosts: hosts whose TLS is read beside the providers'.
        reads_all: read the TLS of all hosts.

    Raises:
        ConfigError: one sentence: nothing runs, or the request was refused.
    """
    asked = {
        "label": label,
        "command": list(command),
        "forward": {"hosts": list(hosts), "all": reads_all},
    }
    # Whoever asks for one has found or started the proxy.
    answer, connection = _ask(directory, asked, lambda: True)
    try:
        return str(answer["forward_url"]), connection
    except KeyError:
        connection.close()
        raise ConfigError(_OTHER_VERSION) from None


@contextmanager
def short_path(directory: Path, name: str) -> Iterator[str]:
    """Yield a path to `directory/name` that a socket address has room for.

    Raises:
        OSError: the directory does not exist.
    """
    plain = str(directory / name)
    if len(os.fsencode(plain)) <= _LONGEST_PATH or not Path("/proc/self/fd").is_dir():
        yield plain
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def _read_line(connection: socket.socket) -> bytes:
    line = b""
    while b"\n" not in line and len(line) < MAX_LINE_BYTES:
        part = connection.recv(65536)
        if not part:
            raise ConfigError(
                "the proxy closed the connection instead of answering; see: ccproxy logs"
            )
        line += part
    return line


def _parse(line: bytes) -> dict[str, Any]:
    """Parse the proxy's line.

    Raises:
        ConfigError: the proxy refused, in its own words; or it is of another version.
    """
    try:
        answer = json.loads(line)
        if "error" in answer:
            raise ConfigError(str(answer["error"]))
    except (ValueError, TypeError):
        raise ConfigError(_OTHER_VERSION) from None
    if not isinstance(answer, dict):
        raise ConfigError(_OTHER_VERSION)
    return answer
