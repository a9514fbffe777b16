"""Check for JSON that databases, other languages and terminals can hold. No Django."""

from __future__ import annotations

import math
import re
from typing import Any

MAX_DEPTH = 64
# NUL, and halves of surrogate pairs.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


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
            # Keys are texts too.
            waiting += [(key, depth + 1) for key in item]
            waiting += [(part, depth + 1) for part in item.values()]
        elif isinstance(item, list):
            waiting += [(part, depth + 1) for part in item]
        elif isinstance(item, str) and _UNSTORABLE.search(item):
            return (
                "The text contains characters that cannot be stored (NUL or half a surrogate pair)."
            )
        elif isinstance(item, float) and not math.isfinite(item):
            return "A number is too large."
    return None
