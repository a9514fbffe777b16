"""The launcher's side of a lease. Standard library only.

One line of JSON goes over the unix socket `run/lease.sock` of the config directory, one comes back.
The connection is the lease: when it closes, the interceptor stops the server.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from providers.base.errors import ConfigError

RUN_DIR = "run"
SOCKET_NAME = "lease.sock"
TIMEOUT_S = 10.0
MAX_LINE_BYTES = 256 * 1024
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
    directory: Path, *, label: str, command: Sequence[str], egress: Sequence[str] | None
) -> tuple[Lease, socket.socket]:
    """Ask for a server; keep the socket open for as long as it is needed.

    Args:
        directory: the config directory.
        label: the run's name in the console.
        command: what will run there.
        egress: the only hosts it may reach; None: any.

    Raises:
        ConfigError: one sentence: nothing runs, or the request was refused.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(TIMEOUT_S)
        with short_path(directory / RUN_DIR, SOCKET_NAME) as path:
            connection.connect(path)
        asked = {
            "label": label,
            "command": list(command),
            "egress": None if egress is None else list(egress),
            "pid": os.getpid(),
            "uid": os.getuid(),
        }
        connection.sendall(json.dumps(asked).encode("utf-8", "surrogateescape") + b"\n")
        lease = _parse(_read_line(connection))
        connection.settimeout(None)
    except TimeoutError:
        connection.close()
        raise ConfigError("the proxy did not answer in time; see: ccproxy logs") from None
    except OSError:
        connection.close()
        raise ConfigError(
            "nothing runs that could capture this command; start it with: ccproxy start"
        ) from None
    except BaseException:
        connection.close()
        raise
    return lease, connection


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


def _parse(line: bytes) -> Lease:
    """Parse the proxy's line.

    Raises:
        ConfigError: the proxy refused, in its own words; or it is of another version.
    """
    try:
        answer = json.loads(line)
        if "error" in answer:
            raise ConfigError(str(answer["error"]))
        return Lease(**{name: answer[name] for name in Lease.__dataclass_fields__})
    except (ValueError, TypeError, KeyError):
        raise ConfigError(
            "the proxy that runs is of another version than this command; start it again: ccproxy"
            " start"
        ) from None
