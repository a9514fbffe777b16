"""Texts and JSON that every database takes. Pure."""

from __future__ import annotations

from typing import Any

import orjson


def dumped(value: Any) -> bytes:
    """`value` as JSON that every database takes as text: what was no UTF-8 and NUL are spelled out
    as \\xNN.
    """
    try:
        text = orjson.dumps(value)
    except orjson.JSONEncodeError:
        return orjson.dumps(_storable(value))
    return orjson.dumps(_storable(value)) if rb"\u0000" in text else text


def storable(text: str) -> str:
    """A text that every database takes: bytes that were no UTF-8 and NUL are spelled out as
    \\xNN.
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = "".join(
                _spelled(char) if "\ud800" <= char <= "\udfff" else char for char in text
            )
    return text.replace("\0", "\\x00") if "\0" in text else text


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {name: _storable(inner) for name, inner in value.items()}
    return [_storable(inner) for inner in value] if isinstance(value, list | tuple) else value


def _spelled(surrogate: str) -> str:
    code = ord(surrogate)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
