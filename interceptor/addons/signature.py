"""Guard of signed requests: what leaves is what was signed, or it leaves without a signature."""

from __future__ import annotations

from mitmproxy.http import HTTPFlow

from interceptor.exchange.flow_state import state_of
from interceptor.request_path.sign import checked_body


class SignatureAddon:
    """Last look at the bytes of a request; an addon before it may have changed them."""

    def request(self, flow: HTTPFlow) -> None:
        """Take the signature out of a body that is not the one that was signed."""
        state = state_of(flow)
        if state is None or state.exchange is None or state.exchange.signed_body is None:
            return
        if flow.response is not None:
            return
        data = flow.request.raw_content or b""
        checked = checked_body(state, state.exchange, data)
        if checked is not data:
            flow.request.raw_content = checked
