"""Websocket upgrades: forwarded to providers that speak websockets, else refused with 426."""

from __future__ import annotations

from interceptor.exchange.flow_state import FlowState
from interceptor.pipeline.exchange import Exchange
from interceptor.transform.dispatch import Decision
from providers.base.names import OPENAI_RESPONSES

UPGRADE_REFUSED = "This provider does not speak websockets here; use POST."


def refuse_upgrade(state: FlowState) -> None:
    """Answer 426 (RFC 9110, 15.5.22): clients then use POST at once."""
    state.refuse(426, UPGRADE_REFUSED, (("upgrade", "HTTP/1.1"),))


def asks_for_websocket(exchange: Exchange) -> bool:
    """Return True for an upgrade request (RFC 6455, 4.1)."""
    return (exchange.headers.get("upgrade") or "").lower() == "websocket"


def speaks_websocket(decision: Decision, state: FlowState) -> bool:
    """Return True where an upgrade can succeed.

    OpenAI's Responses endpoint is known to speak websockets; an address of no known format is
    tried.
    """
    if decision.provider is None or state.client_format is None:
        return True
    return (
        state.client_format == OPENAI_RESPONSES
        and OPENAI_RESPONSES in decision.provider.native_formats
    )
