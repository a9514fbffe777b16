"""Text from the wire made safe for a terminal. No Django.

Control characters and characters that change the direction become escapes.
"""

from __future__ import annotations

import re

# C0 and C1 without tab and line feed, soft hyphen, zero-width and bidi controls, BOM, tags, lone
# surrogates.
INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)


def spelled(match: re.Match[str]) -> str:
    """Return a character as an escape: `\\x1b`, `\\u202e`."""
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


def printable(text: str) -> str:
    """Return a text for attributes, titles, terminals and JSON: escapes without markup."""
    return INVISIBLE.sub(spelled, text)
