"""Captured requests that the proxy treats like its own: those with a sentinel key for their host.

Every other captured request passes untouched. A sentinel key on its way to any other host stays
what it is.
"""

from __future__ import annotations

from interceptor.access.client_access import find_token, take_token
from interceptor.exchange.flow_state import FlowState
from interceptor.exchange.head import RequestHead
from interceptor.hooks.inject_auth import sentinel_of
from interceptor.pipeline.headers import HeaderMap
from interceptor.wireguard.destination import Destination
from providers.provider_conf import ProviderConf


def intended_provider(
    state: FlowState, head: RequestHead, destination: Destination
) -> tuple[ProviderConf | None, str]:
    """Return the provider whose sentinel key goes to its own host over TLS.

    Else None, and why a sentinel key was left alone ("" where the request has none). For a
    provider the client token is taken out of the head, and the head names the provider's host
    instead of the address that the client found for it.
    """
    fields, token = take_token(head.fields)
    name = sentinel_of(HeaderMap(fields), head.path)
    if name is None:
        return None, ""
    provider = state.snapshot.providers.get(name)
    if provider is None:
        return None, "; its sentinel key names no provider and was left alone"
    if not destination.is_own_host_of(provider):
        return None, f"; its sentinel key was left alone: this is not the host of {name} over TLS"
    head.host = destination.host
    if token:
        state.client_token = find_token(token, state.snapshot.client_tokens)
        head.fields = fields
    return provider, ""
