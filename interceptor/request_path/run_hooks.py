"""Hooks of the two stages around the routing."""

from __future__ import annotations

from interceptor.exchange.flow_state import FlowState
from interceptor.exchange.head import RequestHead
from interceptor.exchange.refused import refuse_for
from interceptor.exchange.trace_onward import name_own_span
from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.plan import Plan
from interceptor.pipeline.runner import run_stage
from interceptor.request_path.leave import finish
from interceptor.request_path.open_exchange import object_or_none
from interceptor.request_path.sign import withdraw_broken
from interceptor.request_path.surroundings import Surroundings
from interceptor.transform.translation import unwrapping
from providers.base.errors import RefuseRequest


async def run_inbound(state: FlowState, exchange: Exchange, around: Surroundings) -> None:
    """Run the inbound hooks of the flow's own snapshot."""
    del around
    await _run(state, exchange, state.snapshot.inbound)


async def run_outbound(state: FlowState, exchange: Exchange, around: Surroundings) -> None:
    """Run the outbound hooks of the flow's own snapshot."""
    del around
    await _run(state, exchange, state.snapshot.outbound)
    if exchange.envelope_added and state.translation is None and state.head is not None:
        state.translation = unwrapping(state.head.path, object_or_none(exchange.body.peek()))


async def run_seal(state: FlowState, exchange: Exchange, around: Surroundings) -> None:
    """Run the seal hooks on the final request; they change anything but its address.

    They run on a request that is sent again as forwarded, too: a signature holds for one request.
    A billing line was signed before them. A hook that changes the body takes its digest back.
    The context of the trace is set below them all.
    """
    head = state.head
    if head is None:
        return
    if state.snapshot.seal.levels:
        await _run_seal(state, exchange, head)
    if around.sends_trace and state.answer is None and state.decision is not None:
        name_own_span(state, exchange)
        finish(state, exchange, head)


async def _run_seal(state: FlowState, exchange: Exchange, head: RequestHead) -> None:
    plan = state.snapshot.seal
    address = exchange.scheme, exchange.host, exchange.port
    try:
        for level in plan.levels if exchange.signed_body is not None else ():
            # After each level: a digest of the body in a header is of what leaves.
            await run_stage(Plan((level,)), exchange, state.overrides, state.steps)
            withdraw_broken(state, exchange)
        if exchange.signed_body is None:
            await run_stage(plan, exchange, state.overrides, state.steps)
    except RefuseRequest as exc:
        refuse_for(state, exc)
        return
    exchange.scheme, exchange.host, exchange.port = address
    finish(state, exchange, head)


async def _run(state: FlowState, exchange: Exchange, plan: Plan) -> None:
    # A request that is sent again as forwarded has met its hooks already.
    if state.as_forwarded:
        return
    try:
        await run_stage(plan, exchange, state.overrides, state.steps)
    except RefuseRequest as exc:
        refuse_for(state, exc)
