"""Names and destinations that settings replace, for tests and stand-ins on this machine. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address
from types import MappingProxyType

from interceptor.wireguard.hosts import plain_name
from providers.base.errors import ConfigError

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Overrides:
    """Replacements by name in lower case.

    `addresses` are the answers to look-ups. `upstreams` are where connections to a host really go.
    """

    addresses: Mapping[str, IPv4Address] = field(default_factory=lambda: MappingProxyType({}))
    upstreams: Mapping[str, Address] = field(default_factory=lambda: MappingProxyType({}))


def parse_overrides(dns: Mapping[str, str], upstream: Mapping[str, str]) -> Overrides:
    """Check the two settings and return them.

    Raises:
        ConfigError: names the setting and the entry.
    """
    return Overrides(
        MappingProxyType({plain_name(name): _ipv4(name, value) for name, value in dns.items()}),
        MappingProxyType(
            {plain_name(host): _upstream(host, value) for host, value in upstream.items()}
        ),
    )


def _ipv4(name: str, value: str) -> IPv4Address:
    try:
        return IPv4Address(value)
    except ValueError:
        raise ConfigError(
            f"inspector.dns_overrides: {name}: “{value[:80]}” is no IPv4 address; captured commands"
            " have no IPv6"
        ) from None


def _upstream(host: str, value: str) -> Address:
    address, colon, port = value.rpartition(":")
    try:
        number = int(port)
        ip_address(address.strip("[]"))
        if not colon or not 0 < number < 65536:
            raise ValueError
    except ValueError:
        raise ConfigError(
            f"inspector.upstream_overrides: {host}: “{value[:80]}” is no address with a port, such"
            " as 127.0.0.1:8443"
        ) from None
    return address.strip("[]"), number
