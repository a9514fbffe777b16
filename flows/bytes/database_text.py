"""Texts and JSON in a spelling that every database accepts. Pure."""

from __future__ import annotations

from typing import Any

import orjson


def database_json(value: Any) -> bytes:
    r"""Return `value` as JSON that every database accepts as text.

    Bytes that were no UTF-8 (lone surrogates) and NUL are written out as \xNN.
    """
    try:
        text = orjson.dumps(value)
    except orjson.JSONEncodeError:
        return orjson.dumps(_storable(value))
    if rb"\u0000" in text:
        return orjson.dumps(_storable(value))
    return text


def storable_text(text: str) -> str:
    r"""Return a text that every database accepts.

    Bytes that were no UTF-8 and NUL are written out: `"a\udcff\0"` → `r"a\xff\x00"`.
    """
    # Nearly every text passes both checks, so nothing is built for it.
    if not text.isascii() and not _is_encodable(text):
        text = "".join(_without_surrogate(char) for char in text)
    if "\0" in text:
        text = text.replace("\0", "\\x00")
    return text


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, dict):
        return {name: _storable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(inner) for inner in value]
    return value


def _without_surrogate(char: str) -> str:
    code = ord(char)
    if not 0xD800 <= code <= 0xDFFF:
        return char
    # Python's surrogateescape keeps byte 0xNN as U+DCNN.
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}"
