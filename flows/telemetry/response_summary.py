"""Id, model and finish reasons of a provider's response, in any wire format. Pure.

Only a stream's beginning and its end are read: the first event names id and model, the last ones
say why the model stopped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from flows.reading.json_text import parse_json
from providers.wire.answer_form import is_events

MAX_JSON_BYTES: Final = 256 * 1024
"""A longer buffered response is not parsed: that would cost more than the span is worth."""
HEAD_BYTES: Final = 16 * 1024
TAIL_BYTES: Final = 64 * 1024
MAX_EVENTS: Final = 16
MAX_CHARS: Final = 200
_ODD: Final = (ValueError, TypeError, AttributeError, KeyError, RecursionError)
# A reason that is null, which every chunk of a chat stream has, is none. What the model wrote has
# escaped quotes.
_STOPPED: Final = re.compile(
    rb'"(?:stop_reason|finish_reason|finishReason)"\s*:\s*"'
    rb'|"type"\s*:\s*"response\.(?:completed|incomplete|failed)"'
)
_LONG_EVENT_BYTES: Final = 1024 * 1024
_RESPONSES_EVENTS: Final = ("response.completed", "response.incomplete", "response.failed")


class ResponseSummary(NamedTuple):
    """A response's words about itself; empty where it has none."""

    id: str = ""
    model: str = ""
    finish_reasons: tuple[str, ...] = ()


EMPTY: Final = ResponseSummary()


def summary_of_body(body: bytes) -> ResponseSummary:
    """Return the summary of a decoded body. Never raises."""
    try:
        if is_events(body):
            return _merged(_events(body))
        if not body or len(body) > MAX_JSON_BYTES:
            return EMPTY
        parsed = parse_json(body).value
        # Google's stream without `alt=sse` is an array of chunks.
        return _merged(parsed if isinstance(parsed, list) else [parsed])
    except _ODD:
        return EMPTY


def summary_of_messages(messages: Iterable[bytes]) -> ResponseSummary:
    """Return the summary of the last response that a provider sent on a websocket. Never raises."""
    ended = [message for message in messages if _STOPPED.search(message, 0, _LONG_EVENT_BYTES)]
    return _merged([_parsed(message) for message in ended[-1:]])


def _events(body: bytes) -> Iterator[Any]:
    # The first event names id and model.
    data_at = body.find(b"data:", 0, HEAD_BYTES)
    if data_at >= 0:
        line_end = body.find(b"\n", data_at)
        end = line_end if line_end >= 0 else len(body)
        yield _parsed(body[data_at + len(b"data:") : end])
    start = max(0, len(body) - TAIL_BYTES)
    found = list(_STOPPED.finditer(body, start))
    if not found and start:
        # The last event of a long response repeats it.
        found = list(_STOPPED.finditer(body, max(0, len(body) - _LONG_EVENT_BYTES)))
    for match in found[-MAX_EVENTS:]:
        line_start = body.rfind(b"\n", 0, match.start()) + 1
        line_end = body.find(b"\n", match.end())
        if body.startswith(b"data:", line_start):
            end = line_end if line_end >= 0 else len(body)
            yield _parsed(body[line_start + len(b"data:") : end])


def _parsed(data: bytes) -> Any:
    """Return the JSON value; None for what is none."""
    return parse_json(data).value


def _merged(events: Iterable[Any]) -> ResponseSummary:
    """Merge what several events say; the first id and model count, and every reason once an index.

    Example: `{"id": "c1", "choices": [{"index": 0, "finish_reason": null}]}` and
    `{"id": "c1", "choices": [{"index": 0, "finish_reason": "stop"}]}` → id "c1", reasons ("stop",).
    """
    name = model = ""
    reasons: dict[int, str] = {}
    for event in events:
        if not isinstance(event, dict):
            continue
        for holder in (event, event.get("message"), event.get("response")):
            if not isinstance(holder, dict):
                continue
            name = name or _text(holder, "id", "responseId")
            model = model or _text(holder, "model", "modelVersion")
        reasons.update(_reasons(event))
    ordered = tuple(reasons[index] for index in sorted(reasons))
    return ResponseSummary(name, model, ordered)


def _text(holder: dict[str, Any], *keys: str) -> str:
    for key in keys:
        value = holder.get(key)
        if isinstance(value, str) and value:
            return value[:MAX_CHARS]
    return ""


def _reasons(event: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """Yield index and finish reason of each choice that an event ends."""
    inner = event.get("response")
    for holder in (event, event.get("delta"), inner):
        if not isinstance(holder, dict):
            continue
        if reason := _text(holder, "stop_reason"):
            yield 0, reason
        if "choices" in holder:
            yield from _of_choices(holder["choices"], "finish_reason")
        if "candidates" in holder:
            yield from _of_choices(holder["candidates"], "finishReason")
    if event.get("object") == "response":
        yield from _of_response(event)
    elif event.get("type") in _RESPONSES_EVENTS and isinstance(inner, dict):
        yield from _of_response(inner)


def _of_choices(choices: Any, field: str) -> Iterator[tuple[int, str]]:
    if not isinstance(choices, list):
        return
    for position, choice in enumerate(choices):
        if not isinstance(choice, dict):
            continue
        index = choice.get("index", position)
        if reason := _text(choice, field):
            yield index if isinstance(index, int) else position, reason


def _of_response(response: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """Yield the reason of an OpenAI response, which has a status instead."""
    details = response.get("incomplete_details")
    reason = _text(details, "reason") if isinstance(details, dict) else ""
    if reason := reason or _text(response, "status"):
        yield 0, reason
