"""Destinations that the transport may reach: the running configuration's providers alone."""

from __future__ import annotations

from interceptor.config.snapshot.schema import Snapshot
from interceptor.transport.detour import Destination
from providers.base.loopback import is_loopback
from providers.provider_conf import ProviderConf


def may_reach(snapshot: Snapshot, destination: Destination) -> bool:
    """Return whether a provider owns the address, and is reached safely there."""
    return any(owns(provider, destination) for provider in snapshot.providers.values())


def owns(provider: ProviderConf, destination: Destination) -> bool:
    """Return whether the address is this provider's; TLS is verified, except to this machine."""
    if provider.scheme != destination.scheme:
        return False
    if not provider.owns(destination.host, destination.port):
        return False
    is_safe = destination.scheme == "https" and provider.verify_tls
    return is_safe or is_loopback(destination.host)


def verifies(snapshot: Snapshot, destination: Destination) -> bool:
    """Return whether the certificate must be verified: unless all providers there say otherwise."""
    here = [p for p in snapshot.providers.values() if owns(p, destination)]
    return not here or any(provider.verify_tls for provider in here)
