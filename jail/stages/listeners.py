"""TCP ports that have listeners, from the kernel's tables /proc/net/tcp and tcp6."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator

# TCP_LISTEN of <net/tcp_states.h>.
_LISTEN = "0A"
_ANY_IPV4 = bytes(4)
_LOOPBACK_IPV6 = socket.inet_pton(socket.AF_INET6, "::1")
_MAPPED_IPV4 = bytes(10) + b"\xff\xff"


def loopback_listeners(tables: str = "/proc/self/net") -> dict[int, str]:
    """Return each port with the loopback address at which it is reached.

    IPv4 is preferred; [::] is taken to accept IPv4 too.
    """
    found: dict[int, str] = {}
    for name in ("tcp6", "tcp"):
        for address, port in _listeners(f"{tables}/{name}"):
            reached = _reached_at(address)
            if reached and found.get(port) != "127.0.0.1":
                found[port] = reached
    return found


def _listeners(path: str) -> Iterator[tuple[str, int]]:
    """Yield addresses (hexadecimal, as the table has them) and ports.

    "0: 0100007F:0FA0 00000000:0000 0A …" → ("0100007F", 4000)
    """
    # A kernel without IPv6 has no tcp6.
    with contextlib.suppress(FileNotFoundError), open(path) as file:
        next(file, None)
        for line in file:
            fields = line.split()
            if fields[3] == _LISTEN:
                address, _, port = fields[1].partition(":")
                yield address, int(port, 16)


def _reached_at(address: str) -> str | None:
    """Return the loopback address that reaches a listener's address, or None.

    "0100007F" (127.0.0.1) and "00000000" (any) → "127.0.0.1"; "0202000A" (10.0.2.2) → None
    """
    # The table writes each group of four bytes in the machine's byte order.
    groups = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
    raw = b"".join(group.to_bytes(4, sys.byteorder) for group in groups)
    if len(raw) == 4:
        is_reached = raw == _ANY_IPV4 or raw[0] == 127
        return "127.0.0.1" if is_reached else None
    if raw == _LOOPBACK_IPV6:
        return "::1"
    if not any(raw):
        return "127.0.0.1"
    # ::ffff:127.0.0.1, as servers of Java and Node bind it.
    is_mapped_loopback = raw.startswith(_MAPPED_IPV4) and raw[12] == 127
    return "127.0.0.1" if is_mapped_loopback else None
