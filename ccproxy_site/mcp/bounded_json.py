"""Bounds of structured results, so that no tool fills an agent's context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from typing import Any, Final, NamedTuple

import orjson

MAX_RESULT_CHARS: Final = 60_000
MAX_STRING_CHARS: Final = 2_000
MAX_ITEMS: Final = 100
_ROUNDS: Final = 4


class Bounded(NamedTuple):
    """A value that fits, and a note about what was left out; "" when nothing was."""

    value: Any
    note: str


class BoundedList(NamedTuple):
    """Values that fit, and a note about what was left out; "" when nothing was."""

    values: list[Any]
    note: str


def bounded_list(values: Sequence[Any], total: int) -> BoundedList:
    """Return the first values that fit into a result, of `total` that there are."""
    kept: list[Any] = []
    room = MAX_RESULT_CHARS
    for value in values:
        plain = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        room -= size_of(plain)
        if room < 0 and kept:
            break
        kept.append(bounded(plain).value)
    if len(kept) >= total:
        return BoundedList(kept, "")
    return BoundedList(
        kept, f"{len(kept)} of {total} are shown; use a filter, or select fewer fields."
    )


def bounded(value: Any) -> Bounded:
    """Return a value that fits into a result: long texts and lists are cut until it does."""
    if size_of(value) <= MAX_RESULT_CHARS:
        return Bounded(value, "")
    chars, items = MAX_STRING_CHARS, MAX_ITEMS
    for _ in range(_ROUNDS):
        cut = _cut(value, chars, items)
        if size_of(cut) <= MAX_RESULT_CHARS:
            return Bounded(cut, f"Texts over {chars} characters and lists over {items} are cut.")
        chars, items = chars // 4, items // 4
    return Bounded({}, "This is too large to be shown; ask for a part of it.")


def size_of(value: Any) -> int:
    """Return the length of a value as JSON."""
    return len(orjson.dumps(value, default=str))


def _cut(value: Any, chars: int, items: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= chars else f"{value[:chars]}… ({len(value)} characters)"
    if isinstance(value, list | tuple):
        cut = [_cut(item, chars, items) for item in value[:items]]
        if len(value) > items:
            cut.append(f"… {len(value) - items} more")
        return cut
    if isinstance(value, dict):
        return {key: _cut(item, chars, items) for key, item in value.items()}
    return value
