"""JSON for the translator: fast where possible, tolerant of clients' known oddities.

orjson refuses lone surrogates (JavaScript clients cut emoji in half), integers beyond 64 bits, byte
order marks, bytes that are no UTF-8, and control characters. The standard library reads them.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import orjson

_HALVES: Final = re.compile("[\ud800-\udfff]")


def dumps(value: Any) -> bytes:
    """Encode compact JSON as UTF-8 bytes.

    Raises ValueError or RecursionError for values that JSON cannot hold.
    """
    try:
        return orjson.dumps(value)
    except TypeError:  # orjson's JSONEncodeError
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


def dumps_text(value: Any) -> str:
    """Encode compact JSON as text."""
    return dumps(value).decode("utf-8")


def loads(data: bytes | str) -> Any:
    """Parse JSON. Bytes that are no UTF-8 become U+FFFD; a byte order mark is skipped.

    Control characters in strings are accepted, halves of surrogate pairs stay.

    Raises ValueError (bad JSON, absurd numbers) or RecursionError (absurd depth).
    """
    try:
        return orjson.loads(data)
    except ValueError:
        text = data if isinstance(data, str) else _decoded(data)
        return json.loads(
            text.removeprefix("\ufeff"),
            strict=False,
            parse_constant=_refuse,
            parse_float=_finite,
        )


def loads_request(data: bytes) -> tuple[Any, bool]:
    """Parse a client's JSON; return it, and whether characters were replaced by U+FFFD.

    Vendors refuse halves of surrogate pairs, which JavaScript clients leave when they cut an emoji.

        b'"caf\\xe9 \\\\ud83d"' → ("caf\ufffd \ufffd", True)

    Raises as `loads`.
    """
    try:
        return orjson.loads(data), False
    except ValueError:
        parsed = loads(data)
    text = _decoded(data)
    repaired = _without_halves(parsed)
    return repaired, repaired != parsed or "\ufffd" in text


def _decoded(data: bytes) -> str:
    """Decode JSON bytes as UTF-8, or UTF-16 and UTF-32 if they look like it (RFC 4627, 3)."""
    return data.decode(json.detect_encoding(data), "replace")


def _without_halves(value: Any) -> Any:
    """Replace halves of surrogate pairs in all strings and keys by U+FFFD."""
    if isinstance(value, str):
        return _HALVES.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_halves(item) for item in value]
    if isinstance(value, dict):
        return {_without_halves(key): _without_halves(item) for key, item in value.items()}
    return value


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:20]} is too large")
    return value


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")
