"""Admission to the reverse listener, before a body is read; see `request_path.admit`."""

from __future__ import annotations

import logging
import time

from mitmproxy.http import HTTPFlow, Response

from interceptor.access.caller_rules import Refusal
from interceptor.access.cors import origin_headers, with_origin
from interceptor.addons.inspector import head_of
from interceptor.exchange.flow_state import state_of
from interceptor.exchange.own_answer import deliver
from interceptor.request_path.admit import admit
from interceptor.request_path.surroundings import Surroundings

logger = logging.getLogger(__name__)

REPEAT_AFTER_S = 60.0
"""A page that tries again and again must not fill the log."""
MAX_REMEMBERED = 100


class GuardAddon:
    """Stands behind the inspector, which only pins the configuration, and before all that acts."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._logged_at: dict[str, float] = {}

    async def requestheaders(self, flow: HTTPFlow) -> None:
        """Answer a refusal at once: the body is never read, and nothing is recorded."""
        state = state_of(flow)
        if state is None or state.source != "reverse" or flow.error:
            return
        head = head_of(flow)
        refusal = await admit(state, head, self._around)
        # Written back only when a token or a grant was taken out: setting headers costs time.
        if head.fields is not flow.request.headers.fields:
            flow.request.headers.fields = head.fields
        if head.path != flow.request.path:
            flow.request.path = head.path
        if refusal is not None:
            self._log(refusal)
        # A refusal, or the response to a preflight.
        deliver(flow, state)

    def _log(self, refusal: Refusal) -> None:
        now = time.monotonic()
        self._logged_at = {
            text: at for text, at in self._logged_at.items() if now - at < REPEAT_AFTER_S
        }
        if refusal.message not in self._logged_at and len(self._logged_at) < MAX_REMEMBERED:
            self._logged_at[refusal.message] = now
            logger.warning("refused with %d: %s", refusal.status_code, refusal.message)


def let_origin_read(response: Response, origin: str) -> None:
    """Put on the response what lets a listed origin's program read it; "" does nothing."""
    if not origin:
        return
    headers = response.headers
    for name, value in origin_headers(origin, headers.keys()):
        headers[name] = value
    headers["Vary"] = with_origin(headers.get("vary", ""))


def drop_cors(response: Response) -> None:
    """Remove a provider's permission for web pages: it is not ours to give."""
    fields = tuple(
        field for field in response.headers.fields if field[0][:15].lower() != b"access-control-"
    )
    if fields != response.headers.fields:
        response.headers.fields = fields
