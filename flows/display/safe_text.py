"""Text from the wire made safe to look at: escaped, with control and direction-changing characters
spelled out.
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


def _spell(match: re.Match[str]) -> str:
    code = ord(match.group())
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as surrogateescape decodes it
        name = f"\\x{code - 0xDC00:02x}"
    elif code <= 0xFF:
        name = {"\r": "\\r"}.get(match.group(), f"\\x{code:02x}")
    else:
        name = f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
    return f'<span class="ctl">{name}</span>'


def visible(text: str) -> SafeString:
    """HTML of a text: escaped, and every invisible or misleading character as a marked escape."""
    # escape() leaves the invisible characters alone and adds none, so the spelling may follow it.
    return mark_safe(_INVISIBLE.sub(_spell, escape(text).replace("\r\n", "\n")))  # noqa: S308


def printable(text: str) -> str:
    """The same for plain text, such as attributes, titles and JSON messages: escapes without
    markup.
    """
    return _INVISIBLE.sub(lambda match: re.sub("<[^>]*>", "", _spell(match)), text)
