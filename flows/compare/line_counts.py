"""Counts of added and removed lines, as in a unified diff of the pretty-printed request. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from flows.compare.compared_request import ComparedRequest
from flows.compare.diff import JsonChange, header_diff, json_diff, text_diff
from flows.reading.body_view import BodyView

MAX_COUNTED_BYTES: Final = 4 * 1024 * 1024


class LineCounts(NamedTuple):
    """Lines added and lines removed."""

    added: int
    removed: int


_NONE: Final = LineCounts(0, 0)
_HEADER_COUNTS: Final = {
    "added": LineCounts(1, 0),
    "removed": LineCounts(0, 1),
    "changed": LineCounts(1, 1),
    "moved": _NONE,
    "same": _NONE,
}


def changed_lines(before: ComparedRequest, after: ComparedRequest) -> LineCounts | None:
    """Count the added and removed lines of address, headers and body.

    None if a body is too large. Example: one changed header and a "model" that changed in the body
    → 2 added, 2 removed.
    """
    if _too_large(before.body) or _too_large(after.body):
        return None
    counts: list[LineCounts] = []
    if before.url != after.url:
        counts.append(LineCounts(1, 1))
    for line in header_diff(before.headers, after.headers):
        counts.append(_HEADER_COUNTS[line.kind])
    if before.body is not None and after.body is not None:
        try:
            counts += _body(before.body, after.body)
        except RecursionError:
            return None
    return _sum(counts)


def _too_large(body: BodyView | None) -> bool:
    return body is not None and len(body.plain) > MAX_COUNTED_BYTES


def _sum(counts: Iterable[LineCounts]) -> LineCounts:
    added = removed = 0
    for one in counts:
        added += one.added
        removed += one.removed
    return LineCounts(added, removed)


def _body(before: BodyView, after: BodyView) -> Iterator[LineCounts]:
    kinds = {before.kind, after.kind}
    if kinds == {"json"}:
        for change in json_diff(before.json.value, after.json.value):
            yield _json(change)
    elif "binary" not in kinds:
        yield _text(_decoded(before), _decoded(after))


def _decoded(body: BodyView) -> str:
    return body.plain.decode("utf-8", "replace")


def _json(change: JsonChange) -> LineCounts:
    before, after = change.before, change.after
    match change.kind:
        case "added":
            return LineCounts(_lines(after), 0)
        case "removed":
            return LineCounts(0, _lines(before))
        case "changed":
            # A changed word in a long prompt is one line, not all of them.
            if isinstance(before, str) and isinstance(after, str):
                return _text(before, after)
            return LineCounts(_lines(after), _lines(before))
    return _NONE


def _text(before: str, after: str) -> LineCounts:
    lines = text_diff(before, after, context_lines=0)
    signs = [line.sign for line in lines]
    return LineCounts(signs.count("+"), signs.count("-"))


def _lines(value: Any) -> int:
    text = value
    if not isinstance(value, str):
        text = json.dumps(value, indent=2, ensure_ascii=True)
    return int(text.count("\n")) + 1
