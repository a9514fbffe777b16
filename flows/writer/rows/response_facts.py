"""Facts of a flow that only its complete, decoded response or its messages give. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from flows.reading.json_text import parse_json
from flows.reading.search_text import Said, answer, is_note, question_in
from flows.reading.sse_events import count_events
from flows.record import FlowRecord, WebSocketRecord
from providers.wire.answer_form import failure_in_answer, failure_in_message
from providers.wire.core.ir import Failure
from providers.wire.core.sse import serialise
from providers.wire.detect import side_vendor

_FIRST_MESSAGES: Final = 5
"""Messages of a client that are searched for its model: the first one or two name it."""
_CREATE: Final = b"response.create"
_PARSED_BYTES: Final = 4 * 1024 * 1024
_SAID_BYTES: Final = 256 * 1024


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


class SocketTexts(NamedTuple):
    """The first question that a user typed on a websocket, and what the model said last."""

    asked: str
    said: Said


def socket_texts(record: FlowRecord) -> SocketTexts:
    """Return the texts that name a websocket in lists; empty where no model was asked.

    Codex sends all questions of a session on one websocket, so its first one is the title.
    """
    asked = ""
    sent = [message.content for message in record.messages if message.from_client]
    for content in sent[:_FIRST_MESSAGES]:
        if not asked and _CREATE in content and len(content) <= _PARSED_BYTES:
            frame = parse_json(content).value
            asked = _typed(frame) if isinstance(frame, dict) else ""
    # The response of a running flow would be read again and again.
    if record.state == "live" or not any(_CREATE in content for content in sent):
        return SocketTexts(asked, Said())
    return SocketTexts(asked, answer(_newest_response(record.messages)))


def _typed(frame: dict[str, Any]) -> str:
    """Return what a user typed in a `response.create`, "" for a warm-up and for notes alone."""
    response = frame.get("response")
    body = response if isinstance(response, dict) else frame
    if frame.get("type") != "response.create" or body.get("generate") is False:
        return ""
    text = question_in(body)
    return "" if is_note(text) else text


def _newest_response(messages: Sequence[WebSocketRecord]) -> bytes:
    """Return the events behind the newest request, as a stream."""
    events: list[bytes] = []
    size_bytes = 0
    for message in reversed(messages):
        if message.from_client and _CREATE in message.content:
            break
        if not message.from_client:
            events.append(message.content)
            size_bytes += len(message.content)
        # Its ends repeat all of a response.
        if size_bytes > _SAID_BYTES:
            break
    return b"".join(serialise(event) for event in reversed(events))


def _model_in(message: Any) -> str:
    if not isinstance(message, dict):
        return ""
    for holder in (message, message.get("response"), message.get("session")):
        model = holder.get("model") if isinstance(holder, dict) else None
        if isinstance(model, str) and model:
            return model
    return ""
