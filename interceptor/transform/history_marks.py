"""Histories that other vendors answered before, prepared for the client's own vendor."""

from __future__ import annotations

from typing import NamedTuple

from interceptor.pipeline.exchange import Exchange
from providers.base.names import OPENAI_RESPONSES
from providers.wire.core.jsonio import dumps, loads
from providers.wire.detect import model_of
from providers.wire.marks.marked_history import has_marks, is_told
from providers.wire.marks.native_request import may_have_marks, without_marks


class TakenOut(NamedTuple):
    """A changed body: its plain bytes before and after, and (path, reason) of what it lost."""

    before: bytes
    after: bytes
    losses: list[tuple[str, str]]


def take_out_marks(exchange: Exchange, new_model: str) -> TakenOut | None:
    """Take ccproxy's marks out of a body for a provider of the client's own format.

    A look for any mark comes first. Returns None for a body that stays as it is.
    """
    wire_format = exchange.client_format
    plain = exchange.body.decoded() if wire_format is not None else None
    if not plain or wire_format is None:
        return None
    if not is_told(wire_format) and not may_have_marks(plain, wire_format):
        return None
    # The routing has parsed it already.
    body = exchange.body.peek()
    if not isinstance(body, dict) or (is_told(wire_format) and not has_marks(body, wire_format)):
        return None
    model = new_model or model_of(exchange.path, body)
    cleaned, losses = without_marks(body, wire_format, model)
    if cleaned is body:
        return None
    after = dumps(cleaned)
    exchange.body.replace_plain(after)
    return TakenOut(plain, after, [(loss.path, loss.reason) for loss in losses])


def take_out_of_message(content: bytes) -> TakenOut | None:
    """Take ccproxy's marks out of a websocket message to OpenAI, such as `response.create`.

    Returns None for a message that stays as it is.
    """
    if not may_have_marks(content, OPENAI_RESPONSES):
        return None
    try:
        body = loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    cleaned, losses = without_marks(body, OPENAI_RESPONSES, None)
    if cleaned is body:
        return None
    return TakenOut(content, dumps(cleaned), [(loss.path, loss.reason) for loss in losses])
