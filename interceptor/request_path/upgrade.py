"""Websocket upgrades: forwarded to providers that speak websockets, else refused with 426."""

from __future__ import annotations

from collections.abc import Callable

from interceptor.exchange.flow_state import FlowState
from interceptor.exchange.refusal_table import Kind
from interceptor.transform.decision import Decision
from providers.base.names import OPENAI_RESPONSES

UPGRADE_REFUSED = "This provider does not speak websockets here; use POST."


def refuse_upgrade(state: FlowState) -> None:
    """Answer 426 (RFC 9110, 15.5.22): clients then use POST at once."""
    state.refuse(Kind.NO_WEBSOCKET, UPGRADE_REFUSED)


def asks_for_websocket(header: Callable[[str], str | None]) -> bool:
    """Return True for an upgrade request (RFC 6455, 4.1); `header` gives a header's value."""
    return (header("upgrade") or "").lower() == "websocket"


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
