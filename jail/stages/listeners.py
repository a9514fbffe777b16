"""Which TCP ports have listeners, as the kernel tells in /proc/net/tcp and tcp6."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator

_LISTEN = "0A"


def loopback_listeners(tables: str = "/proc/self/net") -> dict[int, str]:
    """Port to the loopback address at which it is reached.

    IPv4 is preferred; [::] is taken to accept IPv4 too.
    """
    found: dict[int, str] = {}
    for name in ("tcp6", "tcp"):
        for address, port in _listeners(f"{tables}/{name}"):
            if reached := _reached_at(address):
                found[port] = reached if found.get(port) != "127.0.0.1" else "127.0.0.1"
    return found


def _listeners(path: str) -> Iterator[tuple[str, int]]:
    """Addresses (hexadecimal, as the table has them) and ports."""
    with contextlib.suppress(FileNotFoundError), open(path) as file:
        next(file, None)
        for line in file:
            local, state = line.split()[1], line.split()[3]
            if state == _LISTEN:
                address, _, port = local.partition(":")
                yield address, int(port, 16)


def _reached_at(address: str) -> str | None:
    """The table writes each group of four bytes in the machine's byte order."""
    raw = b"".join(
        int(address[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(address), 8)
    )
    if len(raw) == 4:
        return "127.0.0.1" if raw == b"\0\0\0\0" or raw[0] == 127 else None
    if raw == socket.inet_pton(socket.AF_INET6, "::1"):
        return "::1"
    if not any(raw):
        return "127.0.0.1"
    is_mapped_loopback = raw[:12] == b"\0" * 10 + b"\xff\xff" and raw[12] == 127
    return "127.0.0.1" if is_mapped_loopback else None
