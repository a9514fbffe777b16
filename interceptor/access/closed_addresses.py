"""Destinations that clients of the forward proxy never reach.

They are this machine, on all of its addresses, and the services by which clouds hand credentials to
machines. A client reaches the first directly (NO_PROXY); the second are of no use to an agent.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from interceptor.wireguard.own_addresses import is_own_address

OWN_MACHINE: Final = "this address is the proxy's own machine; reach it directly (NO_PROXY)"
METADATA: Final = "this address serves credentials to machines in a cloud"
ODD_NUMBER: Final = "this is an address in an unusual spelling; write it as 192.0.2.1"
_METADATA: Final = tuple(
    ip_network(text)
    for text in (
        # Link-local: AWS, Azure, Google, Oracle and others answer at 169.254.169.254.
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::/32",
        "fd20:ce::254/128",
        "100.100.100.200/32",
        "168.63.129.16/32",
        "192.0.0.192/32",
    )
)
_METADATA_NAMES: Final = ("metadata.google.internal", "metadata.goog", "instance-data")
_MULTICAST: Final = "this address is no single host's"
# WHATWG URL, 3.5: a host whose last label is a number is an IPv4 address.
_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?")
_NAT64: Final = ip_network("64:ff9b::/96")


def refusal_of_host(host: str) -> str:
    """Return why a name or address must not be reached; "" where it may. Looks nothing up."""
    try:
        return refusal_of_number(ip_address(host))
    except ValueError:
        pass
    if _NUMBER.fullmatch(host) or not host:
        return ODD_NUMBER
    if host == "localhost" or host.endswith(".localhost"):
        return OWN_MACHINE
    return METADATA if host in _METADATA_NAMES else ""


def closed_sentence(host: str, port: int, reason: str) -> str:
    """Return the refusal of a destination, for the client and the record."""
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port} is closed: {reason}"


def refusal_of_number(number: IPv4Address | IPv6Address) -> str:
    """Return why an address must not be reached; "" where it may."""
    number = _plain(number)
    # Linux takes the whole network 0.0.0.0/8 for this machine.
    is_this = number.version == 4 and int(number) >> 24 == 0
    if is_this or is_own_address(number):
        return OWN_MACHINE
    if number.is_multicast or number == IPv4Address("255.255.255.255"):
        return _MULTICAST
    return METADATA if any(number in network for network in _METADATA) else ""


def is_address(host: str) -> bool:
    """Return whether a host is an address, not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _plain(number: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address inside an IPv6 one that stands for it: ::ffff:127.0.0.1 → 127.0.0.1.

    They are mapped (RFC 4291), compatible (the same, deprecated), 6to4 (RFC 3056) and NAT64 (RFC
    6052) addresses.
    """
    if isinstance(number, IPv4Address):
        return number
    inner = number.ipv4_mapped or number.sixtofour
    if inner is not None:
        return inner
    is_compatible = int(number) >> 32 == 0 and int(number) > 1
    if is_compatible or number in _NAT64:
        return IPv4Address(int(number) & 0xFFFFFFFF)
    return number
