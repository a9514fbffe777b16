"""Messages that HAR entries list: of websockets, and of event sources. Pure.

Chrome, Firefox, Proxyman and mitmproxy write `_webSocketMessages`, Chrome `_eventSourceMessages`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from flows.imports.capture_time import moment_of
from flows.imports.har_body import binary_message
from flows.imports.loose_json import count_of, dict_of, list_of, text_of
from flows.reading.sse_events import looks_like_events, timed_events
from flows.record import WebSocketRecord
from providers.wire.core.sse import serialise

_WEBSOCKET: Final = "_webSocketMessages"
_EVENTS: Final = "_eventSourceMessages"
_CONTINUATION: Final = 0
_BINARY: Final = 2
_CONTROL: Final = (8, 9, 10)
_SENT: Final = ("send", "sent", "request", "out", "outgoing", "client")
_ERROR: Final = "error"
# The name of an event without a name.
_UNNAMED: Final = "message"


class EventBody(NamedTuple):
    """A stream of events as bytes, and the time of each event's first byte."""

    data: bytes
    times: tuple[tuple[int, float], ...]


def is_websocket(entry: dict[str, Any]) -> bool:
    """Recognise a websocket by its type, its scheme or its messages."""
    if text_of(entry.get("_resourceType")).lower() == "websocket":
        return True
    url = text_of(dict_of(entry.get("request")).get("url")).lower()
    return url.startswith(("ws:", "wss:")) or bool(list_of(entry.get(_WEBSOCKET)))


def websocket_messages(entry: dict[str, Any], started_at: float | None) -> list[WebSocketRecord]:
    """Return the messages of an entry; `started_at` is None if its time is unknown."""
    messages: list[WebSocketRecord] = []
    last_is_text = {True: True, False: True}
    for message in _messages(entry):
        sent_at = moment_of(message.get("time"))
        if started_at is None:
            started_at = sent_at
        at_ms = 0.0
        if sent_at is not None and started_at is not None:
            at_ms = max(0.0, (sent_at - started_at) * 1000)
        from_client = text_of(message.get("type")).lower() in _SENT
        opcode = count_of(message.get("opcode"))
        is_text = opcode != _BINARY
        if opcode == _CONTINUATION:
            is_text = last_is_text[from_client]
        last_is_text[from_client] = is_text
        data = message.get("data")
        content = binary_message(data)
        if is_text:
            content = text_of(data).encode("utf-8", "surrogatepass")
        is_text = bool(message.get("_isText", is_text))
        messages.append(WebSocketRecord(len(messages), at_ms, from_client, is_text, content))
    return messages


def websocket_error(entry: dict[str, Any]) -> str:
    """Return the text of the first error that stands between the messages; "" without one."""
    for value in list_of(entry.get(_WEBSOCKET)):
        message = dict_of(value)
        if text_of(message.get("type")).lower() == _ERROR:
            return text_of(message.get("data")) or "The websocket failed."
    return ""


def has_event_messages(entry: dict[str, Any]) -> bool:
    """Return whether an entry lists the events of a stream."""
    return bool(list_of(entry.get(_EVENTS)))


def event_body(entry: dict[str, Any], started_at: float | None) -> EventBody:
    """Return the listed events as the bytes of a stream.

    Example: {"eventName": "ping", "data": "{}"} → "event: ping", "data: {}", an empty line.
    """
    body = bytearray()
    times: list[tuple[int, float]] = []
    for value in list_of(entry.get(_EVENTS)):
        message = dict_of(value)
        at = moment_of(message.get("time"))
        if started_at is None:
            started_at = at
        if at is not None and started_at is not None:
            at_ms = max(0.0, (at - started_at) * 1000)
            # Chunks arrive one after the other.
            if times:
                at_ms = max(at_ms, times[-1][1])
            times.append((len(body), at_ms))
        name = _line(message.get("eventName"))
        data = text_of(message.get("data")).encode("utf-8", "replace")
        body += serialise(data, "" if name == _UNNAMED else name, _line(message.get("eventId")))
    return EventBody(bytes(body), tuple(times))


def stream_events(content_type: str, body: bytes) -> int | None:
    """Return the number of events in a body; None if it is no stream of events."""
    if not looks_like_events(content_type.strip(), body):
        return None
    return len(timed_events(body, ()).events)


def _messages(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the messages, without control frames and errors."""
    for value in list_of(entry.get(_WEBSOCKET)):
        message = dict_of(value)
        is_error = text_of(message.get("type")).lower() == _ERROR
        if not is_error and count_of(message.get("opcode")) not in _CONTROL:
            yield message


def _line(value: Any) -> str:
    """Return a text without line ends, which would begin another field of the event."""
    line = " ".join(text_of(value).splitlines())
    return line.encode("utf-8", "replace").decode()
