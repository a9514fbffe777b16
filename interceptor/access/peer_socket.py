"""State of a client's socket, as far as this machine's kernel shows it.

A client that only stopped sending and one that is gone look alike from here: both sent a FIN.
On Linux the kernel's socket table tells them apart for clients on this machine. The socket of a
client that waits still belongs to a process, so it has an inode; an abandoned one has inode 0.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

TABLES = "/proc/self/net"
_MAPPED_IPV4 = bytes(10) + b"\xff\xff"
_LOCAL, _REMOTE, _INODE = 1, 2, 9
"""Columns of the tables (proc_net_tcp in the kernel's documentation)."""


def has_owner(client: tuple[str, int], proxy: tuple[str, int], tables: str = TABLES) -> bool:
    """Return whether a process of this machine still holds the client's end of a connection.

    Args:
        client: host and port of the client's end.
        proxy: host and port of our end.
        tables: the folder of the kernel's tables.

    False for clients on other machines, and where the kernel has no such tables.
    """
    try:
        client_hosts, proxy_hosts = _as_written(client[0]), _as_written(proxy[0])
    except ValueError:
        return False
    pairs = {
        (f"{mine}:{client[1]:04X}", f"{other}:{proxy[1]:04X}")
        for mine, other in zip(client_hosts, proxy_hosts, strict=False)
    }
    for name in ("tcp", "tcp6"):
        for line in _lines(f"{tables}/{name}"):
            columns = line.split()
            if (columns[_LOCAL], columns[_REMOTE]) in pairs:
                return columns[_INODE] != "0"
    return False


def _lines(path: str) -> Iterator[str]:
    try:
        with Path(path).open() as file:
            next(file, None)
            yield from file
    except OSError:
        return


def _as_written(host: str) -> list[str]:
    """Return a host as the tables write it: each group of four bytes in the machine's order.

    "127.0.0.1" → ["0100007F", "0000000000000000FFFF00000100007F"] on x86; programs of Java and
    Node use the second one. "::1" → ["00000000000000000000000001000000"]
    """
    address = ip_address(host)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if isinstance(address, IPv4Address):
        return [_grouped(address.packed), _grouped(_MAPPED_IPV4 + address.packed)]
    return [_grouped(address.packed)]


def _grouped(raw: bytes) -> str:
    groups = [raw[at : at + 4] for at in range(0, len(raw), 4)]
    return "".join(f"{int.from_bytes(group, sys.byteorder):08X}" for group in groups)
