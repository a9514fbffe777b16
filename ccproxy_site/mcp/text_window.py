"""Parts of long texts: a body of 5 MB does not go into an agent's context."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DEFAULT_CHARS: Final = 12_000
MAX_CHARS: Final = 60_000
_TAIL_SHARE: Final = 4


@dataclass(frozen=True, slots=True)
class TextWindow:
    """A part of a text."""

    text: str
    offset: int
    """Position of the first character."""
    total_chars: int
    complete: bool
    """The text has nothing more."""
    next_offset: int | None
    """Where to go on; null at the end."""
    note: str
    """How to get what is missing; empty when the text is complete."""


def window(text: str, offset: int | None, limit: int | None) -> TextWindow:
    """Return the part of a text from `offset` on.

    Without an offset a long text comes as its beginning and its end, with a mark between them.

    12 characters, limit 8 → the first 6, the mark, the last 2; `next_offset` 6
    """
    chars = min(max(1, limit or DEFAULT_CHARS), MAX_CHARS)
    total = len(text)
    if offset is None and total > chars:
        return _both_ends(text, chars)
    start = min(max(0, offset or 0), total)
    end = min(start + chars, total)
    is_complete = start == 0 and end == total
    next_offset = end if end < total else None
    note = ""
    if next_offset is not None:
        note = f"{total - end} more characters follow; call again with offset={end}."
    return TextWindow(text[start:end], start, total, is_complete, next_offset, note)


def _both_ends(text: str, chars: int) -> TextWindow:
    tail_chars = chars // _TAIL_SHARE
    head_chars = chars - tail_chars
    left_out = len(text) - chars
    tail = text[len(text) - tail_chars :]
    mark = f"\n[… {left_out} characters left out …]\n"
    note = (
        f"Only the beginning and the end are shown. Call again with offset={head_chars} for what"
        f" follows the beginning, with limit up to {MAX_CHARS}."
    )
    return TextWindow(text[:head_chars] + mark + tail, 0, len(text), False, head_chars, note)
