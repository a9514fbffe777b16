"""Text from the wire made safe to look at.

HTML is escaped; control characters and characters that change the direction become escapes.
"""

from __future__ import annotations

import re
from html import escape

from django.utils.safestring import SafeString, mark_safe

from providers.listing.plain_text import INVISIBLE, spelled
from providers.listing.plain_text import printable as printable


def _marked(match: re.Match[str]) -> str:
    return f'<span class="ctl">{spelled(match)}</span>'


def visible(text: str) -> SafeString:
    """Return the HTML of a text: escaped, invisible and misleading characters as marked escapes."""
    # escape() leaves the invisible characters alone and adds none, so the spelling may follow it.
    escaped = escape(text).replace("\r\n", "\n")
    return mark_safe(INVISIBLE.sub(_marked, escaped))  # noqa: S308
