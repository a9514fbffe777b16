"""JSON of any origin as values and as text for a page. Pure."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import orjson


class JsonText(NamedTuple):
    """A parsed JSON value, or the reason why the bytes are not JSON."""

    value: Any = None
    error: str = ""


def parse_json(data: bytes) -> JsonText:
    """Parse JSON of any origin. Never raises, however deep or broken it is."""
    try:
        return JsonText(orjson.loads(data))
    except orjson.JSONDecodeError:
        # orjson refuses what vendors do send: NaN, lone surrogates, a byte order mark.
        pass
    try:
        return JsonText(json.loads(data))
    except (ValueError, RecursionError) as exc:
        return JsonText(error=str(exc) or type(exc).__name__)


def lenient_json(data: bytes) -> Any:
    """Parse an event; a broken character becomes U+FFFD and does not cost the text around it."""
    parsed = parse_json(data)
    if parsed.error:
        parsed = parse_json(data.decode("utf-8", "replace").encode())
    return parsed.value


def pretty(data: bytes, max_chars: int = 40_000) -> str:
    """Return JSON with line breaks, anything else unchanged; at most `max_chars`."""
    text = _indented(data)
    if text is None:
        text = data.decode("utf-8", "surrogateescape")
    if len(text) <= max_chars:
        return text
    return f"{text[:max_chars]}… ({len(text)} characters)"


def _indented(data: bytes) -> str | None:
    if data.lstrip()[:1] not in (b"{", b"["):
        return None
    parsed = parse_json(data)
    if parsed.error:
        return None
    try:
        return json.dumps(parsed.value, indent=2, ensure_ascii=False)
    except RecursionError:
        return None
