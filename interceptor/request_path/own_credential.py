"""Requests with the client's own credential, whose base path names the provider.

Such a request never carries a credential of ours, and never goes to another host than its
provider's: what the client sends is meant for that host alone.
"""

from __future__ import annotations

from interceptor.access.base_path import PREFIX
from interceptor.exchange.flow_state import FlowState
from interceptor.exchange.refusal_table import Kind
from interceptor.hooks.inject_auth import has_sentinel
from interceptor.pipeline.exchange import Exchange
from interceptor.request_path.surroundings import Surroundings
from providers.base.loopback import is_loopback
from providers.base.nearest import no_such
from providers.provider_conf import ProviderConf

SWITCHED_OFF = (
    "Base paths for clients with their own credential are switched off; the setting own_credentials"
    " in ccproxy.yaml switches them on."
)


async def check_base_path(state: FlowState, exchange: Exchange, around: Surroundings) -> None:
    """Refuse a base path that leads nowhere, before any hook sees the request."""
    name = state.to_provider
    if name is None:
        return
    if not around.own_credentials:
        state.refuse(Kind.OUT_OF_SCOPE, SWITCHED_OFF)
    elif name not in state.snapshot.providers:
        missing = no_such("provider", name, state.snapshot.providers)
        state.refuse(Kind.BAD_REQUEST, f"The base path leads nowhere: {missing}")
    elif has_sentinel(exchange):
        # Its credential is ours, which no request with a base path carries.
        state.refuse(Kind.BAD_KEY, _sentinel_sentence(name))


def refusal_to_carry(
    exchange: Exchange, provider: ProviderConf | None, around: Surroundings
) -> str:
    """Return why the client's own credential must not go where the request goes; "" if it may."""
    if provider is None or not provider.owns(exchange.host, exchange.port):
        return f"{exchange.host} is not the host that the base path names"
    if is_loopback(exchange.host):
        return ""
    # Certificates of addresses that get a credential of ours are verified in any case.
    is_verified = provider.verify_tls and (provider.auth is not None or around.verifies_tls)
    if exchange.scheme != "https" or not is_verified:
        return f"{exchange.host} is not reached over verified TLS"
    return ""


def _sentinel_sentence(name: str) -> str:
    return (
        f"The base path {PREFIX}{name} is for clients with their own credential, and this key is a"
        f" sentinel key. Leave {PREFIX}{name} out of the base URL, or use a key of the provider."
    )
