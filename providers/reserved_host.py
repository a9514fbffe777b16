"""Addresses that no request may be sent to: those from which machines hand out credentials."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Final

_NAMES: Final = frozenset({"metadata", "metadata.google.internal", "instance-data"})
_ADDRESSES: Final = frozenset(
    map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "192.0.0.192"))
)
"""Metadata services outside of the link-local range: AWS, Alibaba, Oracle (their own docs)."""
_OLD_SPELLING: Final = re.compile(r"(0x[0-9a-f]+|[0-9]+)(\.(0x[0-9a-f]+|[0-9]+)){0,3}")


def reserved_host_problem(host: str) -> str | None:
    """Return why a host may not be a destination, or None.

    A name that resolves to such an address is not found here.

    `"169.254.169.254"`, `"0xA9FEA9FE"`, `"[::ffff:169.254.0.1]"` → a sentence;
    `"192.168.0.1"`, `"api.example"` → None.
    """
    text = host.strip("[]").rstrip(".").lower().partition("%")[0]
    address = _address(text)
    if text in _NAMES or (address is not None and _is_reserved(address)):
        return "That address hands out this machine's credentials, or is no single machine."
    return None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        if not _OLD_SPELLING.fullmatch(text):
            return None
        # As the C library reads addresses: 2852039166, 0xa9.254.43518.
        try:
            return ipaddress.IPv4Address(socket.inet_aton(text))
        except OSError:
            return None
    if isinstance(found, ipaddress.IPv6Address):
        return found.ipv4_mapped or found.sixtofour or found
    return found


def _is_reserved(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address in _ADDRESSES
    )
