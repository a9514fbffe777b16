"""Facts of a flow that its HAR entry does not name: state, model, durations. Pure."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from flows.imports import har_messages
from flows.imports.loose_json import count_of, dict_of, is_number, list_of, text_of
from flows.record import SideRecord
from providers.wire.detect import client_format, model_of

NO_RESPONSE: Final = "The capture has no response."
_LONGEST_MS: Final = 1e12
_FACTS: Final = (
    "state",
    "action",
    "provider",
    "provider_type",
    "rule",
    "route",
    "requested_model",
    "sent_model",
    "session_id",
    "client_format",
    "provider_format",
    "error",
    "run_label",
    "run_command",
    "ja3",
    "ja4",
)
_DURATIONS: Final = ("connect_ms", "first_byte_ms", "first_event_ms", "duration_ms")
_COUNTED: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
_LARGEST_COLUMN: Final = 2**31 - 1
_BEFORE_FIRST_BYTE: Final = ("blocked", "dns", "connect", "send", "wait")


class Timing(NamedTuple):
    """Milliseconds since the request began; None where unknown."""

    connect_ms: float | None
    first_byte_ms: float | None
    duration_ms: float


def derived_facts(
    client: SideRecord, entry: dict[str, Any], response: SideRecord | None
) -> dict[str, Any]:
    """Derive the facts that only our own files name."""
    path = path_of(client.url)
    wire = client_format(path, lambda name: header_of(client, name) or None) or ""
    error = _error(entry)
    if not error and (response is None or not response.status_code):
        reason = text_of(dict_of(entry.get("response")).get("statusText"))
        error = reason or NO_RESPONSE
    return {
        "state": "error" if error else "done",
        "error": error,
        "client_format": wire,
        "provider_format": wire,
        "requested_model": model_of(path, _json(client.body)) or "",
    }


def _error(entry: dict[str, Any]) -> str:
    """Return the tool's own words for a failure; "" without one.

    Browsers and mitmproxy write `_error` into the response, Charles marks the entry.
    """
    for holder in (dict_of(entry.get("response")), entry):
        value = holder.get("_error")
        text = text_of(value) or text_of(dict_of(value).get("message"))
        if text:
            return text
    if text_of(entry.get("_charlesStatus")).upper() == "FAILED":
        return NO_RESPONSE
    return har_messages.websocket_error(entry)


def stream_facts(entry: dict[str, Any], response: SideRecord | None) -> dict[str, Any]:
    """Recognise streams and websockets by what they are: labels are missing or in any case."""
    body = b""
    if response is not None:
        body = response.body or b""
    content = dict_of(dict_of(entry.get("response")).get("content"))
    media_type = header_of(response, "content-type") or text_of(content.get("mimeType"))
    if media_type == "x-unknown":
        media_type = ""
    event_count = har_messages.stream_events(media_type, body)
    return {
        "is_stream": event_count is not None or har_messages.has_event_messages(entry),
        "is_websocket": har_messages.is_websocket(entry),
        "event_count": event_count or 0,
    }


def known_facts(own_facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts that our own file names."""
    known: dict[str, Any] = {}
    for name in _FACTS:
        value = own_facts.get(name)
        if isinstance(value, str):
            known[name] = value
    for name in ("is_stream", "is_websocket"):
        if isinstance(own_facts.get(name), bool):
            known[name] = own_facts[name]
    for name in _DURATIONS:
        value = own_facts.get(name)
        # Files of an earlier version lack some; null is a duration that the proxy did not know.
        if name in own_facts and (value is None or is_number(value)):
            known[name] = value
    event_count = count_of(own_facts.get("event_count"))
    if event_count is not None and event_count <= _LARGEST_COLUMN:
        known["event_count"] = event_count
    return known


def known_columns(own_facts: dict[str, Any]) -> dict[str, Any]:
    """Return our own file's values of columns that a record does not hold."""
    columns: dict[str, Any] = {}
    hooks = [name for name in list_of(own_facts.get("hooks_changed")) if isinstance(name, str)]
    if hooks:
        columns["hooks_changed"] = hooks
    for name in _COUNTED:
        count = count_of(own_facts.get(name))
        if count is not None and count <= _LARGEST_COLUMN:
            columns[name] = count
    return columns


def timing_of(entry: dict[str, Any]) -> Timing:
    """Read the timings; -1 and nonsense are unknown.

    Example: connect 20, send 1, wait 300, receive 80 → first byte at 321 ms, duration 401 ms.
    """
    timings = dict_of(entry.get("timings"))
    known: dict[str, float] = {}
    for name, value in timings.items():
        if is_number(value) and value >= 0:
            known[name] = float(value)
    first_byte_ms = None
    if "wait" in known:
        first_byte_ms = sum(known.get(name, 0.0) for name in _BEFORE_FIRST_BYTE)
    total = entry.get("time")
    duration_ms = sum(known.values())
    if is_number(total) and total >= 0:
        duration_ms = min(float(total), _LONGEST_MS)
    return Timing(known.get("connect"), first_byte_ms, duration_ms)


def host_of(url: str) -> str:
    """Return the host of a URL; "" if it has none that can be read."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def path_of(url: str) -> str:
    """Return the path of a URL, with its query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    path = parts.path or "/"
    return f"{path}?{parts.query}" if parts.query else path


def header_of(side: SideRecord | None, wanted: str) -> str:
    """Return the first value of a header, by its lower-case name; "" without one."""
    if side is None:
        return ""
    for name, value in side.headers:
        if name.lower() == wanted:
            return value
    return ""


def _json(body: bytes | None) -> dict[str, Any] | None:
    try:
        value = json.loads(body or b"")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
