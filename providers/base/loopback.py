"""Addresses that stay on this machine, and those at which it reaches its own listeners."""

from __future__ import annotations

import ipaddress
from functools import lru_cache


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Return whether a host is localhost, its subdomain (RFC 6761, 6.3) or a loopback address."""
    name = host.lower().rstrip(".").strip("[]")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def reachable_host(bind: str) -> str:
    """Return the address at which this machine reaches a bind address.

    A wildcard becomes loopback: `0.0.0.0` → `127.0.0.1`.
    """
    host = bind.strip("[]")
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def url_host(bind: str) -> str:
    """Return a bind address as the host of a URL: wildcards become loopback, IPv6 gets brackets."""
    host = reachable_host(bind)
    return f"[{host}]" if ":" in host else host


def local_url(bind: str, port: int) -> str:
    """Return the URL of a listener of this machine: ("0.0.0.0", 4000) → http://127.0.0.1:4000."""
    return f"http://{url_host(bind)}:{port}"
