"""Scope of client tokens: a token may be bound to some providers."""

from __future__ import annotations

from interceptor.access.client_access import may_use
from interceptor.config.snapshot.schema import ClientTokenConf
from interceptor.exchange.flow_state import FlowState
from interceptor.exchange.refusal_table import Kind
from interceptor.pipeline.exchange import Exchange
from interceptor.request_path.surroundings import Surroundings
from interceptor.transform.decision import Decision


async def check_scope(state: FlowState, exchange: Exchange, around: Surroundings) -> None:
    """Refuse what the client's token does not cover, before anything leaves."""
    del exchange, around
    if state.decision is None:
        return
    if reason := scope_refusal(state.client_token, state.decision):
        state.refuse(Kind.OUT_OF_SCOPE, reason)


def scope_refusal(token: ClientTokenConf | None, decision: Decision) -> str:
    """Return why the token does not cover the decision's destination; "" where it does."""
    provider = decision.provider.name if decision.provider else ""
    if token is None or may_use(token, provider):
        return ""
    where = f"the provider “{provider}”" if provider else "addresses of no provider"
    return f"The client token “{token.name}” does not cover {where}."
