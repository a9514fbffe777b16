"""JSON for the translator: fast where possible, tolerant of clients' known oddities.

orjson refuses lone surrogates (JavaScript clients cut emoji in half) and integers beyond 64 bits.
The standard library reads and writes both, so such a body is forwarded and not refused.
"""

from __future__ import annotations

import json
from typing import Any

import orjson


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
    """Parse JSON.

    Raises ValueError (bad JSON, absurd numbers) or RecursionError (absurd depth).
    """
    try:
        return orjson.loads(data)
    except ValueError:
        text = data if isinstance(data, str) else data.decode("utf-8")
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:20]} is too large")
    return value


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")
