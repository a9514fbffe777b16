"""Websockets: refused upgrades become a status after which clients use POST at once."""

from __future__ import annotations

from dataclasses import replace

from mitmproxy.http import HTTPFlow

from interceptor.exchange.flow_state import state_of
from interceptor.exchange.own_answer import deliver
from interceptor.request_path.upgrade import refuse_upgrade
from interceptor.transform.history_marks import take_out_of_message
from providers.base.names import OPENAI_RESPONSES

NO_WEBSOCKET_HERE = (200, 403, 404, 405, 501)
"""Statuses of an upgrade after which Codex tries seven times before it uses POST; 426 makes it use
POST at once.
"""


class WebSocketAddon:
    """Turns a provider's refusal of the upgrade into 426; keeps marks out of messages."""

    def websocket_message(self, flow: HTTPFlow) -> None:
        """Take what other vendors' responses left in the history out of a client's message."""
        state = state_of(flow)
        if state is None or state.exchange is None or flow.websocket is None:
            return
        message = flow.websocket.messages[-1]
        is_asked = message.from_client and state.exchange.client_format == OPENAI_RESPONSES
        taken = take_out_of_message(message.content) if is_asked else None
        if taken is not None:
            message.content = taken.after
            state.edit_losses += taken.losses

    def responseheaders(self, flow: HTTPFlow) -> None:
        """Hold the response back when it is such a refusal."""
        state, response = state_of(flow), flow.response
        if state is None or response is None or state.exchange is None or state.forwarded is None:
            return
        state.upgrade_refused = state.wants_websocket and response.status_code in NO_WEBSOCKET_HERE
        state.hold_answer = state.hold_answer or state.upgrade_refused

    def response(self, flow: HTTPFlow) -> None:
        """Respond instead of the provider, whose response stays in the record."""
        state, response = state_of(flow), flow.response
        if state is None or response is None or not state.upgrade_refused or state.upstream is None:
            return
        body = response.raw_content or b""
        state.upstream = replace(state.upstream, body=body, body_size_bytes=len(body))
        refuse_upgrade(state)
        deliver(flow, state)
