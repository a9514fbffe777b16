"""Client tokens: whoever can reach a listener beyond this machine must show one in `x-ccproxy-token`."""

from __future__ import annotations

import hmac
from hashlib import sha256

from mitmproxy.http import HTTPFlow

from interceptor.answer import answer_error
from interceptor.state import state_of

HEADER = "x-ccproxy-token"


class ClientTokenAddon:
    """Refuses requests without a known token when the listener is not bound to loopback."""

    def __init__(self, *, required: bool) -> None:
        self._required = required

    def request(self, flow: HTTPFlow) -> None:
        """Check the token before anything is spent on the request."""
        state = state_of(flow)
        if not self._required or state is None or state.source != "reverse":
            return
        digest = sha256(flow.request.headers.get(HEADER, "").encode("utf-8", "surrogateescape")).hexdigest()
        if not any(hmac.compare_digest(digest, known) for known in state.snapshot.client_token_hashes):
            answer_error(
                flow,
                state,
                401,
                f"This proxy asks for a client token: send it in {HEADER}. `ccproxy clienttoken add NAME` makes one.",
            )
