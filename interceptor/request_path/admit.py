"""Admission to the reverse listener: by names, origins, grants and client tokens, before a body."""

from __future__ import annotations

import logging

from interceptor.access.base_path import take_path_token
from interceptor.access.caller_rules import Refusal, check_caller, is_listed_origin
from interceptor.access.client_access import HEADER as TOKEN_HEADER
from interceptor.access.client_access import find_token, split_key, take_token
from interceptor.access.cors import is_preflight, preflight_headers
from interceptor.access.grant import HEADER as RESEND_HEADER
from interceptor.exchange.flow_state import FlowState, OwnAnswer
from interceptor.exchange.head import RequestHead
from interceptor.exchange.refusal_table import kind_of_caller
from interceptor.pipeline.headers import CONTROL_BYTES, HeaderMap
from interceptor.request_path.surroundings import Surroundings

logger = logging.getLogger(__name__)

OPEN_PATHS = ("/health", "/mcp", "/mcp/")
"""Health checks need no token; the response says only that the process runs. The MCP server has
tokens of its own.
"""


async def admit(state: FlowState, head: RequestHead, around: Surroundings) -> Refusal | None:
    """Refuse clients that are no program of this user; take tokens and grants out of the headers.

    Captured traffic passes: its client did not mean to call the proxy. A preflight of a listed
    origin is answered here: browsers send no token with it.
    """
    if state.source != "reverse":
        return None
    refusal = _check_head(head) or _check_caller(state, head, around)
    if state.answer is not None:
        return None
    if refusal is None:
        refusal = await _redeem_grant(state, head, around)
    if refusal is None:
        refusal = _check_token(state, head, around)
    if refusal is not None:
        kind = kind_of_caller(refusal.status_code)
        state.refuse(kind, refusal.message, status_code=refusal.status_code)
    return refusal


def _check_head(head: RequestHead) -> Refusal | None:
    """Refuse control characters: HTTP/2 can frame in one value what HTTP/1 reads as two headers."""
    if head.multiplexed and any(CONTROL_BYTES.search(value) for _, value in head.fields):
        return Refusal(400, "A header value contains a control character.")
    return None


def _check_caller(state: FlowState, head: RequestHead, around: Surroundings) -> Refusal | None:
    headers = HeaderMap(head.fields)
    if "host" not in headers and head.authority:
        headers.set("host", head.authority)
    if len(headers.get_all("origin")) > 1:
        return Refusal(400, "The request has more than one Origin.")
    refusal = check_caller(head.method, headers.get, around.rules, state.snapshot.hosts)
    origin = headers.get("origin")
    if refusal is None and origin is not None and is_listed_origin(origin, around.rules):
        state.cors_origin = origin
        if is_preflight(head.method, headers.get):
            state.answer = OwnAnswer(204, b"", preflight_headers(headers.get))
    return refusal


async def _redeem_grant(
    state: FlowState, head: RequestHead, around: Surroundings
) -> Refusal | None:
    """Take the resend header out, whatever it holds, and redeem the grant in it."""
    headers = HeaderMap(head.fields)
    shown = headers.get_all(RESEND_HEADER)
    if not shown:
        return None
    headers.remove(RESEND_HEADER)
    head.fields = headers.fields
    if len(shown) == 1:
        try:
            state.resend = await around.grants.redeem(shown[0], state.flow_id)
        except Exception:
            # An exception that leaves an addon would let the request through.
            logger.exception("a grant to send a request again could not be looked up")
            return Refusal(
                503, "The database that holds the grants does not answer. Try again in a moment."
            )
    if state.resend is None:
        return Refusal(403, "This grant to send a request again is unknown, expired or used up.")
    return None


def _check_token(state: FlowState, head: RequestHead, around: Surroundings) -> Refusal | None:
    """Take the client token out of headers and path, and check it."""
    head.fields, token = take_token(head.fields)
    head.path, token_behind_key = split_key(head.path)
    head.path, token_in_path = take_path_token(head.path)
    token = token or token_behind_key or token_in_path
    if token:
        state.client_token = find_token(token, state.snapshot.client_tokens)
        if state.client_token is not None:
            return None
        return _token_refusal("does not know this client token")
    needs_token = around.require_token and state.resend is None and head.path not in OPEN_PATHS
    return _token_refusal("asks for a client token") if needs_token else None


def _token_refusal(what: str) -> Refusal:
    return Refusal(
        401,
        f"This proxy {what}. Send one in {TOKEN_HEADER}, behind the key (sk-ccproxy-NAME.TOKEN) or"
        " in the base path (/to/NAME.TOKEN); `ccproxy clienttoken add NAME` makes one.",
    )
