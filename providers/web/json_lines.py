"""Stored JSON for people: a line for each entry, without brackets and quotes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

NOTHING: Final = "–"
LINE_BREAK: Final = SafeString("<br>")


def json_lines(value: Any) -> SafeString | str:
    """Return JSON as escaped lines.

    {"cause": "529", "left_s": 2.9} → "cause: 529" and "left s: 2.9";  [] → "–"
    """
    return shown_lines(_entries(value))


def shown_lines(entries: Sequence[str]) -> SafeString | str:
    """Return texts as escaped lines; a dash for none."""
    if not entries:
        return NOTHING
    return format_html(
        '<div class="cc-lines">{}</div>',
        format_html_join(LINE_BREAK, "{}", ((e,) for e in entries)),
    )


def _entries(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [f"{_words(name)}: {_inline(inner)}" for name, inner in value.items()]
    if isinstance(value, list):
        return [_inline(inner) for inner in value]
    return [] if value in (None, "") else [str(value)]


def _inline(value: Any) -> str:
    """Return a value on one line: {"a": 1, "b": [2, 3]} → "a 1, b 2, 3"."""
    if isinstance(value, dict):
        return ", ".join(f"{_words(name)} {_inline(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(_inline, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return NOTHING if value in (None, "") else str(value)


def _words(name: str) -> str:
    return name.replace("_", " ")
