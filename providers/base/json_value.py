"""Check for JSON that databases, other languages and terminals can hold. No Django."""

from __future__ import annotations

import math
from typing import Any

MAX_DEPTH = 64


def check_json(value: Any) -> str | None:
    """Return the reason why a JSON value is refused, or None.

    Refused are NUL and lone surrogates (PostgreSQL stores neither), numbers that are not finite
    (SQLite takes them for broken JSON) and nesting beyond `MAX_DEPTH`.
    """
    waiting: list[tuple[Any, int]] = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > MAX_DEPTH:
            return f"The value is nested deeper than {MAX_DEPTH} levels."
        if isinstance(item, dict):
            waiting += [(part, depth + 1) for pair in item.items() for part in pair]
        elif isinstance(item, list):
            waiting += [(part, depth + 1) for part in item]
        elif isinstance(item, str) and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in item):
            return (
                "The text contains characters that cannot be stored (NUL or half a surrogate pair)."
            )
        elif isinstance(item, float) and not math.isfinite(item):
            return "A number is too large."
    return None
