"""Preview of a flow for lists: what was asked, and what came back. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

PREVIEW_CHARS: Final = 160
_TOOL: Final = "⚙"
_SHOWN_TOOLS: Final = 3


def one_line(text: str) -> str:
    """Return the start of a text on one line: "Fix\\n  the test" → "Fix the test"."""
    # White space may be most of the text, so more than the result is read.
    line = " ".join(text[: 8 * PREVIEW_CHARS].split())
    return line if len(line) <= PREVIEW_CHARS else f"{line[: PREVIEW_CHARS - 1]}…"


def said_line(text: str, tools: Sequence[str]) -> str:
    """Return a response on one line: its text, else the tools that it calls.

    ("", ["Bash", "Read"]) → "⚙ Bash, Read"
    """
    if text.strip() or not tools:
        return one_line(text)
    shown = list(dict.fromkeys(tools))
    more = f" and {len(shown) - _SHOWN_TOOLS} more" if len(shown) > _SHOWN_TOOLS else ""
    return one_line(f"{_TOOL} {', '.join(shown[:_SHOWN_TOOLS])}{more}")
