"""Values of JSON that another program wrote, read by type; a wrong type is an empty value. Pure."""

from __future__ import annotations

from typing import Any, Final, TypeGuard

_LARGEST_NUMBER: Final = 1e15
# The database holds no larger number.
_LARGEST_COUNT: Final = 2**62
_MAX_DIGITS: Final = 19


def text_of(value: Any) -> str:
    """Return a text; "" for anything else."""
    return value if isinstance(value, str) else ""


def shown_text_of(value: Any) -> str:
    """Return a text, also of a number: some tools write header values as numbers."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    try:
        return str(value)
    except ValueError:
        # Python refuses to write integers of more than 4,300 digits.
        return ""


def dict_of(value: Any) -> dict[str, Any]:
    """Return an object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def list_of(value: Any) -> list[Any]:
    """Return an array; an empty one for anything else."""
    return value if isinstance(value, list) else []


def is_number(value: Any) -> TypeGuard[float]:
    """Accept finite numbers of a usual size."""
    # bool is an int, and NaN is the only float that differs from itself.
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return False
    return abs(value) < _LARGEST_NUMBER


def count_of(value: Any) -> int | None:
    """Return a count, also of a text or a float; None for anything else, and for -1.

    Example: 200, 200.0 and "200" → 200.
    """
    if isinstance(value, str):
        digits = value.strip()
        is_count = digits.isascii() and digits.isdigit() and len(digits) < _MAX_DIGITS
        return int(digits) if is_count else None
    if isinstance(value, float) and is_number(value) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < _LARGEST_COUNT else None
