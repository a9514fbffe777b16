"""Tokens and cost of a finished flow, from the provider's own response.

A response that cannot be understood leaves them unknown.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from flows.models import Flow
from flows.reading.token_usage import Metered, usage_of_body, usage_of_messages
from flows.record import FlowRecord
from providers.prices.cost import Call, OwnPrice, cost_of

MAX_TOKENS: Final = 2**31 - 1
MAX_USD: Final = Decimal(999_999)
logger = logging.getLogger(__name__)


def meter(flow: Flow, record: FlowRecord, answer: bytes, own: Sequence[OwnPrice]) -> None:
    """Set tokens, cost and price version of `flow`; never raises.

    `answer`: the decoded upstream body.
    """
    if record.state == "live":
        return
    try:
        _meter(flow, record, answer, own)
    except Exception:
        # Recording goes on whatever a response says.
        logger.exception("The usage of flow %s could not be read", record.id)


def _meter(flow: Flow, record: FlowRecord, answer: bytes, own: Sequence[OwnPrice]) -> None:
    found = _reported(record, answer)
    if found is None:
        return
    usage = found.usage
    flow.input_tokens = _count(usage.input_tokens)
    flow.output_tokens = _count(usage.output_tokens)
    flow.cache_read_tokens = _count(usage.cached_tokens)
    flow.cache_write_tokens = _count(usage.cache_write_tokens)
    flow.reasoning_tokens = _count(usage.reasoning_tokens)
    if flow.input_tokens is None or flow.output_tokens is None:
        return
    model = record.sent_model or record.requested_model or found.model
    call = Call(model, record.forwarded_url, record.provider, record.provider_type, flow.started_at)
    cost = cost_of(usage, call, own)
    if cost is None or not 0 <= cost.usd <= MAX_USD:
        return
    flow.cost_usd = cost.usd
    flow.price_version = cost.version


def _reported(record: FlowRecord, answer: bytes) -> Metered | None:
    if record.is_websocket:
        received = (message.content for message in record.messages if not message.from_client)
        return usage_of_messages(received)
    return usage_of_body(answer) if answer else None


def _count(tokens: int | None) -> int | None:
    """Return a count that fits its column; None for anything else."""
    if tokens is None or not 0 <= tokens <= MAX_TOKENS:
        return None
    return tokens
