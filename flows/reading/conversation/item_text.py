"""Texts of items: JSON indented, long ones cut, sizes in bytes."""

from __future__ import annotations

import json
from typing import Any, Final

from django.utils.safestring import SafeString

from flows.display.safe_text import visible
from flows.reading.conversation.item import Item, Written
from providers.wire.core.jsonio import loads

MAX_TEXT_CHARS: Final = 30_000


def as_code(kind: str, text: str, title: str = "", *, folded: bool = False) -> Item:
    """Return an item that shows a text as it is, not as Markdown."""
    return Item(kind, lambda: Written(code(text)), title, utf8_bytes(text), folded=folded)


def indented(value: Any) -> str:
    """Return a value, or a text that is JSON, as indented JSON; any other text as it is."""
    if isinstance(value, str):
        try:
            value = loads(value)
        except (ValueError, RecursionError):
            return str(value)
    try:
        return json.dumps(value, indent=2, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return repr(value)


def code(text: str) -> SafeString:
    """Return a text as safe HTML, cut after `MAX_TEXT_CHARS` characters."""
    if len(text) <= MAX_TEXT_CHARS:
        return visible(text)
    return visible(f"{text[:MAX_TEXT_CHARS]}… ({len(text)} characters)")


def utf8_bytes(text: str) -> int:
    """Return the bytes of a text in UTF-8."""
    return len(text.encode("utf-8", "surrogatepass"))
