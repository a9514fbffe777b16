"""Allow-lists of hosts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from providers.base.errors import ConfigError

MAX_HOSTS = 1000
_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62}))*", re.ASCII
)


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """Allow-list: exact names, domains with everything below them, and networks."""

    names: frozenset[str] = frozenset()
    domains: tuple[str, ...] = ()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    def covers(self, host: str) -> bool:
        """Return whether a name or address may be reached."""
        name = plain_name(host)
        if not name:
            return False
        try:
            address = ip_address(name)
        except ValueError:
            return name in self.names or any(name.endswith(domain) for domain in self.domains)
        return any(address in network for network in self.networks)


def plain_name(host: str) -> str:
    """Return a host in lower case, without brackets and the root's dot."""
    return host.strip("[]").lower().rstrip(".")


def allowed_hosts(entries: Iterable[str]) -> AllowedHosts:
    """Parse an allow-list.

    Entries are `api.example.com`, `*.example.com` (everything below it) and `192.0.2.0/24`.

    Raises:
        ConfigError: names the entry.
    """
    names, domains, networks = set(), [], []
    for count, entry in enumerate(entries):
        if count >= MAX_HOSTS:
            raise ConfigError(f"--egress takes at most {MAX_HOSTS} hosts")
        text = plain_name(entry.strip())
        # `.example.com` is what curl and NO_PROXY take for `*.example.com`.
        bare = text.removeprefix("*")
        below = bare if bare.startswith(".") else ""
        if (network := _network(text)) is not None:
            networks.append(network)
        elif below and _NAME.fullmatch(below[1:]):
            domains.append(below)
        elif not below and _NAME.fullmatch(text):
            names.add(text)
        else:
            raise ConfigError(
                f"--egress: “{entry[:80]}” is no host; give a name, *.name, an address or a"
                " network, without scheme and port"
            )
    return AllowedHosts(frozenset(names), tuple(domains), tuple(networks))


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None
