"""Facts of a flow that only its complete, decoded response or its messages give. Pure."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from flows.reading.json_text import parse_json
from flows.reading.sse_events import count_events
from flows.record import FlowRecord
from providers.wire.answer_form import failure_in_answer, failure_in_message
from providers.wire.core.ir import Failure
from providers.wire.detect import side_vendor

_FIRST_MESSAGES: Final = 5
"""Messages of a client that are searched for its model: the first one or two name it."""


def failure_of(record: FlowRecord, upstream: bytes) -> Failure | None:
    """Return the failure that a model's provider reports in its response or its messages."""
    is_known = bool(record.client_format or record.provider_format)
    if not record.is_websocket:
        return failure_in_answer(upstream, record.status_code or 200) if is_known else None
    if not is_known and not record.provider and not side_vendor(record.path):
        return None
    for message in record.messages:
        failure = None if message.from_client else failure_in_message(message.content)
        if failure is not None:
            return failure
    return None


def event_count(record: FlowRecord, decoded: bytes) -> int:
    """Return the number of events: the proxy's, or that of a stream that it could not read."""
    return count_events(decoded) if decoded else record.event_count


def asked_model(record: FlowRecord) -> str:
    """Return the model that a client names on its websocket, "" without one.

    Codex names it in `response.create`, the realtime API in the address or in the session.
    """
    if not record.client_format and not record.provider and not side_vendor(record.path):
        return ""
    sent = (message.content for message in record.messages if message.from_client)
    for content in islice(sent, _FIRST_MESSAGES):
        model = _model_in(parse_json(content).value) if b'"model"' in content else ""
        if model:
            return model
    return parse_qs(urlsplit(record.path).query).get("model", [""])[0]


def _model_in(message: Any) -> str:
    if not isinstance(message, dict):
        return ""
    for holder in (message, message.get("response"), message.get("session")):
        model = holder.get("model") if isinstance(holder, dict) else None
        if isinstance(model, str) and model:
            return model
    return ""
