"""JSON of a provider's events and bodies, read leniently, and what is no event at all.

Servers and gateways between them send keep-alives as data (`: keepalive`, `ping`, `[PING]`, `null`,
nothing). Such data says nothing about the response. Data that begins as an object is an event: if
it cannot be read, part of the response is missing, and the stream must not go on.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson

from providers.wire.core.ir import JsonObject
from providers.wire.core.sse import SseEvent

_BOM = "\ufeff"

Watch = Callable[[JsonObject], None]
"""Looks at the object of an event before it is decoded."""


def lenient_loads(data: bytes) -> Any:
    """Parse a provider's JSON.

    Broken UTF-8 becomes U+FFFD; raw control characters and a byte order mark are accepted; NaN and
    infinity become null. Raises ValueError or RecursionError for anything else.
    """
    try:
        return orjson.loads(data)
    except ValueError:
        text = data.decode("utf-8", "replace").removeprefix(_BOM)
        return json.loads(text, strict=False, parse_constant=lambda _: None)


def event_bodies(event: SseEvent) -> list[JsonObject]:
    """Return the objects in an event's data; none if it is no event.

    Example: `{"a": 1}` → one; `ping` → none; `{"a": 1}` and `{"a": 2}` in two data lines, because a
    server forgot the blank line → two. Raises ValueError or RecursionError for a broken object.
    """
    data = event.data
    try:
        value = lenient_loads(data)
        return [value] if type(value) is dict else _objects(value)
    except ValueError:
        lines = data.split(b"\n")
        if len(lines) == 1:
            if _begins_object(data):
                raise
            return []
    bodies: list[JsonObject] = []
    for line in lines:
        if _begins_object(line):
            bodies.extend(_objects(lenient_loads(line)))
    return bodies


def _begins_object(data: bytes) -> bool:
    return data.lstrip(b"\xef\xbb\xbf \t").startswith((b"{", b"[{"))


def _objects(value: Any) -> list[JsonObject]:
    if isinstance(value, dict):
        return [value]
    if isinstance(value, list):
        return [item for item in value if isinstance(item, dict)]
    return []
