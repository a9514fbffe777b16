"""Differences of two requests: headers, JSON by structure, text by line. Pure.

JSON arrays are compared by identity where their elements have one (tools by name, blocks by id),
otherwise by longest common run, so that one inserted message is one change and not a hundred.
Example:

    before  {"model": "opus", "messages": [a, b], "tools": [{"name": "ls"}, {"name": "cat"}]}
    after   {"model": "haiku", "messages": [a, x, b], "tools": [{"name": "cat"}, {"name": "ls"}]}

    model        changed  "opus" → "haiku"
    messages[1]  added    x
    tools        moved    ls, cat → cat, ls
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher, unified_diff
from itertools import zip_longest
from typing import Any, Final, Literal, NamedTuple

Change = Literal["same", "added", "removed", "changed", "moved"]
MAX_TEXT_LINES: Final = 20_000
MAX_ARRAY_ITEMS: Final = 5_000
_MISSING: Final = object()
_IDENTITY_KEYS: Final = ("id", "tool_use_id", "call_id")


@dataclass(frozen=True, slots=True)
class HeaderChange:
    """One header line on both sides; None where it is missing."""

    kind: Change
    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class JsonChange:
    """One address at which two documents differ.

    `path` is written like `messages[2].content[0].text`.
    """

    kind: Change
    path: str
    before: Any = None
    after: Any = None


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of a unified diff: " ", "+", "-" or "@"."""

    sign: str
    text: str


Header = Sequence[str]


class _Line(NamedTuple):
    """A header line; lines match if key and value are equal."""

    key: str
    value: str
    name: str

    @property
    def content(self) -> tuple[str, str]:
        return self.key, self.value


def header_diff(before: Sequence[Header], after: Sequence[Header]) -> list[HeaderChange]:
    """Put header lines side by side in the order of `after`, removed ones where they stood.

    Names compare without case. Example: `a: 1, b: 2` → `b: 2, a: 9` gives "same" for b and
    "changed" for a.
    """
    old = [_line(header) for header in before]
    new = [_line(header) for header in after]
    old_contents = [line.content for line in old]
    new_contents = [line.content for line in new]
    rows: list[HeaderChange] = []
    for run in _runs(old_contents, new_contents):
        old_lines = old[run.old]
        new_lines = new[run.new]
        if run.is_common:
            for was, now in zip(old_lines, new_lines, strict=True):
                rows.append(HeaderChange("same", now.name, was.value, now.value))
            continue
        for was in old_lines:
            rows.append(HeaderChange("removed", was.name, was.value, None))
        for now in new_lines:
            rows.append(HeaderChange("added", now.name, None, now.value))
    return _join_changed(rows)


class _Run(NamedTuple):
    """A stretch of two lists: common to both, or what lies between common ones."""

    is_common: bool
    old: slice
    new: slice


def _runs(old: Sequence[Hashable], new: Sequence[Hashable]) -> Iterator[_Run]:
    # autojunk would skip elements that are frequent in lists of 200 and more.
    matcher = SequenceMatcher(a=old, b=new, autojunk=False)
    for tag, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        old_range = slice(old_start, old_end)
        new_range = slice(new_start, new_end)
        yield _Run(tag == "equal", old_range, new_range)


def _line(header: Header) -> _Line:
    name, value = header[0], header[1]
    return _Line(name.lower(), value, name)


def _join_changed(rows: list[HeaderChange]) -> list[HeaderChange]:
    """Make one row of a removed and an added line of one name, where the added one stands.

    Example: removed `a: 1`, added `a: 2` → changed `a: 1` → `a: 2`; with equal values it moved.
    """
    removed_by_name: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        if row.kind == "removed":
            key = row.name.lower()
            removed_by_name.setdefault(key, []).append(index)

    joined_indexes: set[int] = set()
    joined: dict[int, HeaderChange] = {}
    for index, row in enumerate(rows):
        if row.kind != "added":
            continue
        key = row.name.lower()
        waiting = removed_by_name.get(key)
        if not waiting:
            continue
        # In order: of three cookies each one is compared with the one at its own position.
        removed_index = waiting.pop(0)
        joined_indexes.add(removed_index)
        before = rows[removed_index].before
        kind: Change = "moved" if before == row.after else "changed"
        joined[index] = HeaderChange(kind, row.name, before, row.after)
    return [joined.get(index, row) for index, row in enumerate(rows) if index not in joined_indexes]


def json_diff(before: Any, after: Any) -> list[JsonChange]:
    """Return every address at which two parsed documents differ.

    The order of keys in an object does not count.
    """
    return list(_compare(before, after, ""))


def _compare(before: Any, after: Any, path: str) -> Iterator[JsonChange]:
    if before is _MISSING:
        yield JsonChange("added", path, after=after)
    elif after is _MISSING:
        yield JsonChange("removed", path, before=before)
    elif isinstance(before, dict) and isinstance(after, dict):
        yield from _compare_objects(before, after, path)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _compare_arrays(before, after, path)
    # 1, 1.0 and true are equal in Python, and different in JSON.
    elif before != after or type(before) is not type(after):
        yield JsonChange("changed", path, before, after)


def _compare_objects(
    before: dict[str, Any], after: dict[str, Any], path: str
) -> Iterator[JsonChange]:
    added = [key for key in after if key not in before]
    for key in [*before, *added]:
        child_path = f"{path}.{key}" if path else str(key)
        old_value = before.get(key, _MISSING)
        new_value = after.get(key, _MISSING)
        yield from _compare(old_value, new_value, child_path)


def _compare_arrays(before: list[Any], after: list[Any], path: str) -> Iterator[JsonChange]:
    old_items = _by_identity(before)
    new_items = _by_identity(after)
    if old_items and new_items:
        yield from _compare_by_identity(old_items, new_items, path)
    # The search for common runs is quadratic.
    elif max(len(before), len(after)) > MAX_ARRAY_ITEMS:
        yield from _compare_in_order(before, after, 0, 0, path)
    else:
        yield from _compare_runs(before, after, path)


def _by_identity(items: list[Any]) -> dict[str, Any]:
    """Return the elements by their identity.

    Empty unless all elements have an identity of their own. Example: `[{"name": "ls"}]` →
    `{"name=ls": {"name": "ls"}}`.
    """
    by_identity: dict[str, Any] = {}
    for item in items:
        identity = _identity(item)
        if identity is None or identity in by_identity:
            return {}
        by_identity[identity] = item
    return by_identity


def _identity(item: Any) -> str | None:
    # Messages are compared by their order; their ids differ from request to request.
    if not isinstance(item, dict) or "role" in item:
        return None
    name = item.get("name")
    if isinstance(name, str):
        return f"name={name}"
    # Chat Completions nests the name of a tool one level deeper.
    function = item.get("function")
    function_name = function.get("name") if isinstance(function, dict) else None
    if isinstance(function_name, str):
        return f"name={function_name}"
    for key in _IDENTITY_KEYS:
        if isinstance(item.get(key), str):
            return f"{key}={item[key]}"
    return None


def _compare_by_identity(
    old: dict[str, Any], new: dict[str, Any], path: str
) -> Iterator[JsonChange]:
    added = [identity for identity in new if identity not in old]
    for identity in [*old, *added]:
        old_item = old.get(identity, _MISSING)
        new_item = new.get(identity, _MISSING)
        child_path = f"{path}[{identity}]"
        yield from _compare(old_item, new_item, child_path)

    old_order = [identity for identity in old if identity in new]
    new_order = [identity for identity in new if identity in old]
    if old_order != new_order:
        yield JsonChange("moved", path, old_order, new_order)


def _compare_runs(before: list[Any], after: list[Any], path: str) -> Iterator[JsonChange]:
    """Compare what lies between the longest common runs.

    Example: `[a, b, c]` → `[a, x, b, c]` has the runs `[a]` and `[b, c]`, so x at index 1 is added.
    """
    old_keys = [_key(item) for item in before]
    new_keys = [_key(item) for item in after]
    for run in _runs(old_keys, new_keys):
        if run.is_common:
            continue
        old_items = before[run.old]
        new_items = after[run.new]
        old_start = run.old.start
        new_start = run.new.start
        yield from _compare_in_order(old_items, new_items, old_start, new_start, path)


def _compare_in_order(
    before: list[Any], after: list[Any], old_start: int, new_start: int, path: str
) -> Iterator[JsonChange]:
    """Compare elements at equal positions; an address counts in the array that has the element."""
    pairs = zip_longest(before, after, fillvalue=_MISSING)
    for offset, (old_item, new_item) in enumerate(pairs):
        start = new_start
        if new_item is _MISSING:
            start = old_start
        child_path = f"{path}[{start + offset}]"
        yield from _compare(old_item, new_item, child_path)


def _key(value: Any) -> Hashable:
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True)
    return type(value).__name__, value


def text_diff(before: str, after: str, *, context_lines: int = 3) -> list[TextLine]:
    """Return a unified diff. Beyond `MAX_TEXT_LINES` only the first lines are compared.

    Example: "a\\nb" → "a\\nc" gives `@@ -1,2 +1,2 @@`, ` a`, `-b`, `+c`.
    """
    old = before.splitlines()[:MAX_TEXT_LINES]
    new = after.splitlines()[:MAX_TEXT_LINES]
    diff = list(unified_diff(old, new, n=context_lines, lineterm=""))
    # The first two lines name the files.
    return [_text_line(line) for line in diff[2:]]


def _text_line(line: str) -> TextLine:
    if line.startswith("@"):
        return TextLine("@", line)
    return TextLine(line[:1], line[1:])
