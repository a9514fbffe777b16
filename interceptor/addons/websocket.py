"""Websocket upgrades: proxied where the provider speaks them, else refused so that clients fall
back at once.
"""

from __future__ import annotations

from dataclasses import replace

from mitmproxy.http import HTTPFlow

from interceptor.exchange.flow_state import FlowState, state_of
from interceptor.exchange.own_answer import json_response
from interceptor.pipeline.exchange import Exchange
from interceptor.transform.dispatch import Decision
from providers.base.names import OPENAI_RESPONSES
from providers.wire.errors import error_body

REFUSAL = "This provider does not speak websockets here; use POST."
NO_WEBSOCKET_HERE = (200, 403, 404, 405, 501)
"""Answers to an upgrade after which Codex tries seven times before it uses POST; 426 makes it do so
at once.
"""


def asks_for_websocket(ex: Exchange) -> bool:
    """True for an upgrade request (RFC 6455, 4.1)."""
    return (ex.headers.get("upgrade") or "").lower() == "websocket"


def speaks_websocket(decision: Decision, state: FlowState) -> bool:
    """Known for OpenAI's Responses endpoint; an address of no known format is tried."""
    if decision.provider is None or state.client_format is None:
        return True
    return (
        state.client_format == OPENAI_RESPONSES
        and OPENAI_RESPONSES in decision.provider.native_formats
    )


def refuse_websocket(flow: HTTPFlow, state: FlowState) -> None:
    """Answer 426 in the caller's format."""
    state.error = REFUSAL
    flow.response = json_response(426, error_body(state.family, 426, REFUSAL), flow.id)
    flow.response.headers["upgrade"] = "HTTP/1.1"


class WebSocketAddon:
    """Turns a provider's refusal of the upgrade into 426."""

    def responseheaders(self, flow: HTTPFlow) -> None:
        """Hold the answer back when it is such a refusal."""
        state, response = state_of(flow), flow.response
        if state is None or response is None or state.exchange is None or state.forwarded is None:
            return
        state.upgrade_refused = state.wants_websocket and response.status_code in NO_WEBSOCKET_HERE
        state.hold_answer = state.hold_answer or state.upgrade_refused

    def response(self, flow: HTTPFlow) -> None:
        """Answer instead of the provider, whose answer stays in the record."""
        state, response = state_of(flow), flow.response
        if state is None or response is None or not state.upgrade_refused or state.upstream is None:
            return
        body = response.raw_content or b""
        state.upstream = replace(state.upstream, body=body, body_size_bytes=len(body))
        refuse_websocket(flow, state)
