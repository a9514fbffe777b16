"""OpenRouter's signed reasoning in a stream, joined for the way back.

Source: https://openrouter.ai/docs/guides/best-practices/reasoning-tokens
"""

from __future__ import annotations

from typing import Any, Final

from providers.wire.core.ir import JsonObject
from providers.wire.core.jsonio import dumps_text

_TEXTS: Final = ("text", "summary", "data")


class ReasoningDetails:
    """Collector of `reasoning_details`.

    {"index": 0, "text": "a"}, {"index": 0, "text": "b", "signature": "s"} →
    [{"index": 0, "text": "ab", "signature": "s"}]
    """

    def __init__(self) -> None:
        self._entries: list[JsonObject] = []

    def add(self, details: Any) -> None:
        """Add the entries of one delta."""
        for raw in details if isinstance(details, list) else []:
            if not isinstance(raw, dict):
                continue
            last = self._entries[-1] if self._entries else None
            if last is not None and _continues(last, raw):
                _join(last, raw)
            else:
                self._entries.append(dict(raw))

    def taken(self) -> str | None:
        """Return the entries as JSON text and forget them; None if there are none."""
        entries, self._entries = self._entries, []
        return dumps_text(entries) if entries else None


def _continues(last: JsonObject, raw: JsonObject) -> bool:
    return last.get("type") == raw.get("type") and last.get("index") == raw.get("index")


def _join(last: JsonObject, raw: JsonObject) -> None:
    for key, value in raw.items():
        old = last.get(key)
        if key in _TEXTS and isinstance(old, str) and isinstance(value, str):
            last[key] = old + value
        elif value is not None:
            last[key] = value
