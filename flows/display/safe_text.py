"""Text from the wire made safe to look at.

HTML is escaped; control characters and characters that change the direction become escapes.
"""

from __future__ import annotations

import re

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

# C0 and C1 without tab and line feed, soft hyphen, zero-width and bidi controls, BOM, tags, lone
# surrogates.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)


def _spelled(match: re.Match[str]) -> str:
    code = ord(match.group())
    # surrogateescape decodes a byte that is not UTF-8 to U+DC80 and above.
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if match.group() == "\r":
        return "\\r"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    return f"\\U{code:08x}"


def _marked(match: re.Match[str]) -> str:
    return f'<span class="ctl">{_spelled(match)}</span>'


def visible(text: str) -> SafeString:
    """Return the HTML of a text: escaped, invisible and misleading characters as marked escapes."""
    # escape() leaves the invisible characters alone and adds none, so the spelling may follow it.
    escaped = escape(text).replace("\r\n", "\n")
    return mark_safe(_INVISIBLE.sub(_marked, escaped))  # noqa: S308


def printable(text: str) -> str:
    """Return a text for attributes, titles, terminals and JSON: escapes without markup."""
    return _INVISIBLE.sub(_spelled, text)
