"""Addresses of the proxy's own machine, on loopback and on its networks."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address

_DISCARD_PORT = 9


def is_own_address(number: IPv4Address | IPv6Address) -> bool:
    """Return whether connections to an address stay on this machine.

    To an address of its own the kernel sends from that very address, so its choice of the source
    tells. Nothing is sent, and an interface that came up later counts too.
    """
    if isinstance(number, IPv6Address) and number.ipv4_mapped is not None:
        number = number.ipv4_mapped
    if number.is_loopback or number.is_unspecified:
        return True
    family = socket.AF_INET if number.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect((str(number), _DISCARD_PORT))
            source = asking.getsockname()[0]
    except OSError:
        # No route leads there, so it is not this machine's.
        return False
    return bool(source == str(number))
