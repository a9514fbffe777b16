"""Address of a visitor of the console, also behind a proxy that ends TLS."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """Return the address that a request came from.

    `X-Forwarded-For` is believed of the addresses in `console.trusted_proxies` alone, and read from
    its end: what stands before the first address that is no such proxy is the client's own claim.

    trusted `127.0.0.1`, connection from 127.0.0.1, `1.1.1.1, 9.9.9.9` → `9.9.9.9`
    """
    address = str(request.META.get("REMOTE_ADDR") or "")
    trusted = settings.CCPROXY.console.trusted_proxies
    hops = str(request.META.get("HTTP_X_FORWARDED_FOR") or "").split(",")
    while address in trusted and hops:
        hop = hops.pop().strip()
        if not hop:
            break
        address = hop
    return address
