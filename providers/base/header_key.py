"""Keys as people paste and save them, and as a header can carry them."""

from __future__ import annotations

import codecs

MAX_KEY_CHARS = 16 * 1024
_INVISIBLE = "\ufeff\u200b\u2060"
"""Byte order mark, zero-width space, word joiner: editors and web pages leave them at the ends."""


class BadKey(ValueError):
    """A text that cannot be the value of a header; the message never quotes it."""


def decode_key(data: bytes) -> str:
    """Return the text of a file or of a command's output; a byte order mark says how to decode it.

    Windows' PowerShell writes UTF-16 with one, Notepad UTF-8 with one.

    Raises:
        BadKey: it is no text.
    """
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if utf16 else "utf-8")
    except UnicodeDecodeError:
        raise BadKey("is no text in UTF-8 or plain ASCII; it has to be the key alone") from None


def trimmed_key(text: str) -> str:
    """Return the text without byte order marks, white space and invisible characters at its ends.

    "\\ufeffkey\\r\\n" → "key"
    """
    before = ""
    while text != before:
        before, text = text, text.strip().strip(_INVISIBLE)
    return text


def check_key(key: str) -> None:
    """Reject a key that cannot be the value of a header (RFC 9110, 5.5).

    Raises:
        BadKey: the message completes "The key …" and names the kind of character and its position.
    """
    if len(key) > MAX_KEY_CHARS:
        raise BadKey(f"has more than {MAX_KEY_CHARS} characters; it has to be the token alone")
    for position, character in enumerate(key, 1):
        if not character.isascii():
            raise BadKey(
                f"has characters that cannot stand in a header (character {position} is not plain"
                " ASCII); copy it again"
            )
        if not " " <= character <= "~":
            raise BadKey(
                f"has several lines or control characters (character {position}); it has to be the"
                " token alone, on one line"
            )
