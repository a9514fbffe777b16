"""Ids of tool calls that hold a mark, in a form that the client's own vendor takes."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

from providers.wire.rules.replay import ID_MARKS

ID_FIELDS: Final = ("id", "tool_use_id", "tool_call_id", "call_id")
_REFUSED: Final = re.compile(r"[^A-Za-z0-9_-]")
# Chat takes 40 characters, the shortest limit of all.
_KEPT_CHARS: Final = 22


def plain_ids(entry: Any) -> Any:
    """Return an entry without marks in its ids; the same object if it has none."""
    if not isinstance(entry, dict):
        return entry
    changed: dict[str, str] = {}
    for field in ID_FIELDS:
        value = entry.get(field)
        if isinstance(value, str) and any(mark in value for mark in ID_MARKS):
            changed[field] = plain_id(value)
    return {**entry, **changed} if changed else entry


def plain_id(marked: str) -> str:
    """Return an id without its mark.

    The same one for a call and its result; the digest keeps apart what the mark did.

        "f:0__n_6f2b9c01d2e3" → "f_0_4a8f0b7a9d5c3e21"
    """
    plain = marked
    for mark in ID_MARKS:
        plain = plain.partition(mark)[0]
    digest = hashlib.sha256(marked.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{_REFUSED.sub('_', plain)[:_KEPT_CHARS]}_{digest}"
