"""How many lines a change adds and takes away, as a unified diff of the pretty-printed request
would show it. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from flows.compare.diff import Header, header_diff, json_diff, text_diff
from flows.reading.body_view import BodyView

MAX_COUNTED_BYTES: Final = 4 * 1024 * 1024

Counts = tuple[int, int]
"""Lines added and lines removed."""

_HEADER: Final[dict[str, Counts]] = {
    "added": (1, 0),
    "removed": (0, 1),
    "changed": (1, 1),
    "moved": (0, 0),
    "same": (0, 0),
}


def changed_lines(
    *,
    urls: tuple[str, str],
    headers: tuple[Sequence[Header], Sequence[Header]],
    bodies: tuple[BodyView | None, BodyView | None],
) -> Counts | None:
    """Added and removed lines of address, headers and body; None when the body is too large to be
    counted here.
    """
    counted = [(1, 1)] if urls[0] != urls[1] else []
    counted += [_HEADER[line.kind] for line in header_diff(*headers)]
    before, after = bodies
    if before is not None and after is not None:
        if max(len(before.plain), len(after.plain)) > MAX_COUNTED_BYTES:
            return None
        try:
            counted += _body(before, after)
        except RecursionError:
            return None
    return sum(plus for plus, _ in counted), sum(minus for _, minus in counted)


def _body(before: BodyView, after: BodyView) -> list[Counts]:
    if before.kind == after.kind == "json":
        return [
            _json(change.kind, change.before, change.after)
            for change in json_diff(before.json.value, after.json.value)
        ]
    if "binary" in (before.kind, after.kind):
        return []
    return [_text(*(view.plain.decode("utf-8", "replace") for view in (before, after)))]


def _json(kind: str, before: Any, after: Any) -> Counts:
    if kind == "moved":
        return 0, 0
    if isinstance(before, str) and isinstance(after, str):
        return _text(before, after)
    return (_lines(after) if kind != "removed" else 0), (_lines(before) if kind != "added" else 0)


def _text(before: str, after: str) -> Counts:
    signs = [line.sign for line in text_diff(before, after, context_lines=0)]
    return signs.count("+"), signs.count("-")


def _lines(value: Any) -> int:
    if isinstance(value, str):
        return value.count("\n") + 1
    return json.dumps(value, indent=2, ensure_ascii=True).count("\n") + 1
