"""Signing of a shaped request's billing line, and the check that nothing changed it afterwards."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import Final

from flows.record import HookStep
from interceptor.bedrock.aws_signature import (
    NO_REGION,
    SERVICE,
    load_signer,
    region_of,
    sign_headers,
)
from interceptor.exchange.flow_state import FlowState
from interceptor.exchange.refusal_table import Kind
from interceptor.pipeline.body import Body
from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.runner import describe_change
from interceptor.request_path.leave import finish
from interceptor.request_path.surroundings import Surroundings
from interceptor.shaping.billing_signer import without_digest

logger = logging.getLogger(__name__)

NAME: Final = "billing_line"
AWS_NAME: Final = "aws_signature"
CHANGED: Final = "not signed: the body was changed after it was signed"


async def sign(state: FlowState, exchange: Exchange, around: Surroundings) -> None:
    """Sign the request, if it took a shape with a billing line and the constants are known."""
    active = exchange.shaped
    if state.as_forwarded and exchange.provider is not None:
        # It was shaped when it was recorded, and may have been edited since.
        active = exchange.shapes.get(exchange.provider.type)
        if active is not None and active.shape.billing is None:
            active = None
    if active is None or state.head is None:
        return
    began, before = perf_counter(), exchange.body.decoded()
    problem = around.signer.sign(active, exchange.body, only_broken=state.as_forwarded)
    after = exchange.body.decoded()
    if problem:
        _note_unsigned(state, exchange, f"not signed: {problem}")
    elif after != before:
        exchange.signed_body = exchange.body.data
        state.steps.append(_step(state, began, before, after))
        finish(state, exchange, state.head)


async def sign_for_aws(state: FlowState, exchange: Exchange, around: Surroundings) -> None:
    """Sign the request with the provider's AWS key, as the very last step before it leaves."""
    del around
    credential = exchange.credential
    keys = credential.aws_keys if credential is not None else None
    if keys is None or state.head is None or not state.credential_injected:
        return
    began, point = perf_counter(), exchange.checkpoint()
    region = region_of(exchange.host, keys)
    if not region:
        state.refuse(Kind.UNUSABLE, NO_REGION)
        return
    await load_signer()
    sign_headers(exchange.method, exchange.url, exchange.headers, exchange.body.data, keys, region)
    finish(state, exchange, state.head)
    state.steps.append(
        describe_change(
            "egress",
            AWS_NAME,
            exchange,
            point,
            None,
            reason=f"signed for {SERVICE} in {region}",
            started_ms=(began - state.began) * 1000,
            apply_ms=(perf_counter() - began) * 1000,
        )
    )


def withdraw_broken(state: FlowState, exchange: Exchange) -> None:
    """Take the digest out of a body that is no longer the one that was signed.

    A wrong digest is worse than none: the request leaves with zeros, and the flow says so.
    """
    if exchange.signed_body is None or exchange.body.data == exchange.signed_body:
        return
    began, before = perf_counter(), exchange.body.decoded()
    exchange.signed_body = None
    without_digest(exchange.body)
    state.steps.append(_step(state, began, before, exchange.body.decoded(), CHANGED))
    _note_unsigned(state, exchange, CHANGED)


def checked_body(state: FlowState, exchange: Exchange, data: bytes) -> bytes:
    """Return the bytes that may leave: those that were signed, or others without a digest.

    Args:
        state: gets the reason, if the bytes are not those that were signed.
        exchange: as the last step left it.
        data: the bytes that are about to leave.
    """
    if exchange.signed_body is None or data == exchange.signed_body:
        return data
    exchange.body = Body(data, exchange.body.encoding)
    withdraw_broken(state, exchange)
    if state.head is not None:
        finish(state, exchange, state.head)
    return exchange.body.data


def _note_unsigned(state: FlowState, exchange: Exchange, problem: str) -> None:
    exchange.shape_problem = problem
    logger.warning("flow %s: %s", state.flow_id, problem, extra={"flow": state.flow_id})


def _step(
    state: FlowState, began: float, before: bytes | None, after: bytes | None, reason: str = ""
) -> HookStep:
    return HookStep(
        stage="egress",
        hook=NAME,
        outcome="error" if reason else "ran",
        reason=reason,
        apply_ms=(perf_counter() - began) * 1000,
        changed=("body",),
        body_before=before,
        body_after=after,
        started_ms=(began - state.began) * 1000,
    )
