"""The guard: turns away, before a body is read, whoever is no program of this user, and later who
lacks the right.
"""

from __future__ import annotations

import logging
import time

from mitmproxy.http import HTTPFlow, Response

from interceptor.access.caller_rules import GuardRules, Refusal, check_caller
from interceptor.access.client_access import HEADER, find_token, may_use, split_key, take_token
from interceptor.access.grant import HEADER as RESEND_HEADER
from interceptor.access.grant import GrantBook
from interceptor.config.snapshot.schema import ClientTokenConf
from interceptor.exchange.flow_state import FlowState, state_of
from interceptor.exchange.own_answer import answer_error
from interceptor.mitm.request_head import CONTROLS
from interceptor.pipeline.headers import HeaderMap
from interceptor.transform.dispatch import Decision

logger = logging.getLogger(__name__)

OPEN_PATHS = ("/health",)
"""Asked by whoever watches over the process; it says nothing but that it runs."""
REPEAT_AFTER_S = 60.0
"""A page that tries again and again must not fill the log."""


class GuardAddon:
    """Stands behind the inspector, which only pins the configuration, and before everything that
    acts.

    Args:
        rules: of the reverse listener; other listeners get traffic that was meant for somebody
        else. grants: what the console may send again. require_token: every client must show a
        client token.
    """

    def __init__(self, rules: GuardRules, grants: GrantBook, *, require_token: bool) -> None:
        self._rules = rules
        self._grants = grants
        self._require_token = require_token
        self._logged: dict[str, float] = {}

    async def requestheaders(self, flow: HTTPFlow) -> None:
        """Answer a refusal at once: the body is never read, and nothing is recorded."""
        state = state_of(flow)
        if state is None or state.source != "reverse" or flow.error:
            return
        headers = HeaderMap(flow.request.headers.fields)
        if "host" not in headers and flow.request.authority:
            headers.set("host", flow.request.authority)  # HTTP/2 names it there
        refusal = (
            _check_bytes(headers) if flow.request.is_http2 or flow.request.is_http3 else None
        ) or self._check_caller(flow, state, headers)
        refusal = refusal or await self._check_resend(flow, state) or self._check_token(flow, state)
        if refusal is not None:
            self._log(refusal)
            answer_error(flow, state, refusal.status_code, refusal.message)

    def _check_caller(self, flow: HTTPFlow, state: FlowState, headers: HeaderMap) -> Refusal | None:
        if len(headers.get_all("origin")) > 1:
            return Refusal(400, "The request has more than one Origin.")
        return check_caller(flow.request.method, headers.get, self._rules, state.snapshot.hosts)

    async def _check_resend(self, flow: HTTPFlow, state: FlowState) -> Refusal | None:
        """Take the header out, whatever is in it, and redeem what it grants."""
        if RESEND_HEADER not in flow.request.headers:
            return None
        shown = flow.request.headers.get_all(RESEND_HEADER)
        del flow.request.headers[RESEND_HEADER]
        try:
            state.resend = await self._grants.redeem(shown[0], flow.id) if len(shown) == 1 else None
        except Exception:  # an addon that raises lets the request through
            logger.exception("a grant to send a request again could not be looked up")
            return Refusal(
                503, "The database that holds the grants does not answer. Try again in a moment."
            )
        if state.resend is None:
            return Refusal(
                403, "This grant to send a request again is unknown, expired or used up."
            )
        return None

    def _check_token(self, flow: HTTPFlow, state: FlowState) -> Refusal | None:
        fields, token = take_token(flow.request.headers.fields)
        path, in_path = split_key(flow.request.path)
        token = token or in_path
        if fields != flow.request.headers.fields:
            flow.request.headers.fields = fields
        if path != flow.request.path:
            flow.request.path = path
        if token:
            state.client_token = find_token(token, state.snapshot.client_tokens)
        if not token and flow.request.path in OPEN_PATHS:
            return None
        if state.client_token is None and (token or (self._require_token and state.resend is None)):
            what = "does not know this client token" if token else "asks for a client token"
            return Refusal(
                401,
                f"This proxy {what}. Send one in {HEADER} or behind the key"
                " (sk-ccproxy-NAME.TOKEN); `ccproxy clienttoken add NAME` makes one.",
            )
        return None

    def _log(self, refusal: Refusal) -> None:
        now = time.monotonic()
        self._logged = {text: at for text, at in self._logged.items() if now - at < REPEAT_AFTER_S}
        if refusal.message not in self._logged and len(self._logged) < 100:
            self._logged[refusal.message] = now
            logger.warning("refused with %d: %s", refusal.status_code, refusal.message)


class TokenScopeAddon:
    """Stands behind the routing: a token may be bound to providers."""

    def request(self, flow: HTTPFlow) -> None:
        """Refuse what the client's token does not cover, before anything leaves."""
        state = state_of(flow)
        if (
            state is None
            or state.client_token is None
            or state.decision is None
            or flow.response
            or flow.error
        ):
            return
        if reason := scope_refusal(state.client_token, state.decision):
            answer_error(flow, state, 403, reason)


def scope_refusal(token: ClientTokenConf | None, decision: Decision) -> str:
    """Why a request with this client token must not go where it was routed; "" when it may."""
    provider = decision.provider.name if decision.provider else ""
    if token is None or may_use(token, provider):
        return ""
    where = f"the provider “{provider}”" if provider else "addresses of no provider"
    return f"The client token “{token.name}” does not cover {where}."


def _check_bytes(headers: HeaderMap) -> Refusal | None:
    """HTTP/2 can carry in a header what would be another header in HTTP/1."""
    if any(CONTROLS.search(value) for _, value in headers.fields):
        return Refusal(400, "A header value contains a control character.")
    return None


def drop_cors(response: Response) -> None:
    """Take out a provider's permission for web pages: it is not ours to give."""
    fields = tuple(
        f for f in response.headers.fields if not f[0].lower().startswith(b"access-control-")
    )
    if fields != response.headers.fields:
        response.headers.fields = fields
