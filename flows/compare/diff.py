"""What changed between two requests: headers, JSON by structure, text by line. Pure.

JSON arrays are compared by identity where their elements have one (tools by name, blocks by id),
otherwise by longest common run, so that one inserted message is one change and not a hundred.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher, unified_diff
from typing import Any, Final, Literal

Change = Literal["same", "added", "removed", "changed", "moved"]
MAX_TEXT_LINES: Final = 20_000
MAX_ARRAY_ITEMS: Final = 5_000
_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class HeaderChange:
    """One header line on both sides; None where it is missing."""

    kind: Change
    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class JsonChange:
    """One place where two documents differ.

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


def header_diff(before: Sequence[Header], after: Sequence[Header]) -> list[HeaderChange]:
    """Header lines side by side in the order of `after`, removed ones where they stood.

    Names compare without case.
    """
    old, new = [_Line(h) for h in before], [_Line(h) for h in after]
    rows: list[HeaderChange] = []
    gone: dict[str, list[_Line]] = {}
    matcher = SequenceMatcher(
        a=[(o.key, o.value) for o in old], b=[(n.key, n.value) for n in new], autojunk=False
    )
    for tag, a1, a2, b1, b2 in matcher.get_opcodes():
        if tag == "equal":
            pairs = zip(old[a1:a2], new[b1:b2], strict=True)
            rows += [HeaderChange("same", n.name, o.value, n.value) for o, n in pairs]
            continue
        rows += [HeaderChange("removed", o.name, o.value, None) for o in old[a1:a2]]
        rows += [HeaderChange("added", n.name, None, n.value) for n in new[b1:b2]]
    for row in rows:
        if row.kind == "removed":
            gone.setdefault(row.name.lower(), []).append(_Line((row.name, row.before or "")))
    return _join_changed(rows, gone)


def _join_changed(rows: list[HeaderChange], gone: dict[str, list[_Line]]) -> list[HeaderChange]:
    """A removed and an added line of one name are one changed (or only moved) line, where the added
    one stands.
    """
    taken: list[tuple[str, str]] = []
    joined: list[HeaderChange] = []
    for row in rows:
        waiting = gone.get(row.name.lower()) if row.kind == "added" else None
        if not waiting:
            joined.append(row)
            continue
        old = waiting.pop(0)
        taken.append((old.name, old.value))
        kind: Change = "moved" if old.value == row.after else "changed"
        joined.append(HeaderChange(kind, row.name, old.value, row.after))
    return [
        row
        for row in joined
        if not (row.kind == "removed" and _take(taken, (row.name, row.before or "")))
    ]


def _take(taken: list[tuple[str, str]], line: tuple[str, str]) -> bool:
    if line in taken:
        taken.remove(line)
        return True
    return False


class _Line:
    __slots__ = ("key", "name", "value")

    def __init__(self, header: Header) -> None:
        self.name, self.value = header[0], header[1]
        self.key = self.name.lower()


def json_diff(before: Any, after: Any) -> list[JsonChange]:
    """Every place where two parsed documents differ; the order of keys in an object does not
    count.
    """
    return list(_compare(before, after, ""))


def _compare(before: Any, after: Any, path: str) -> Iterator[JsonChange]:
    if before is _MISSING:
        yield JsonChange("added", path, after=after)
    elif after is _MISSING:
        yield JsonChange("removed", path, before=before)
    elif isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            child = f"{path}.{key}" if path else str(key)
            yield from _compare(before.get(key, _MISSING), after.get(key, _MISSING), child)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _compare_arrays(before, after, path)
    elif before != after or type(before) is not type(after):
        yield JsonChange("changed", path, before, after)


def _compare_arrays(before: list[Any], after: list[Any], path: str) -> Iterator[JsonChange]:
    old_ids, new_ids = _identities(before), _identities(after)
    if old_ids and new_ids:
        yield from _compare_by_identity(before, after, old_ids, new_ids, path)
    elif max(len(before), len(after)) > MAX_ARRAY_ITEMS:
        yield from _compare_in_place(before, after, 0, 0, path)
    else:
        yield from _compare_runs(before, after, path)


def _identities(items: list[Any]) -> dict[str, int]:
    """What each element calls itself → its place; empty unless all elements have a name of their
    own.
    """
    places: dict[str, int] = {}
    for place, item in enumerate(items):
        name = _identity(item)
        if name is None or name in places:
            return {}
        places[name] = place
    return places


def _identity(item: Any) -> str | None:
    if not isinstance(item, dict) or "role" in item:
        return None
    function = item.get("function")
    for holder, key in (
        (item, "name"),
        (function, "name"),
        (item, "id"),
        (item, "tool_use_id"),
        (item, "call_id"),
    ):
        if isinstance(holder, dict) and isinstance(holder.get(key), str):
            return f"{key}={holder[key]}"
    return None


def _compare_by_identity(
    before: list[Any], after: list[Any], old: dict[str, int], new: dict[str, int], path: str
) -> Iterator[JsonChange]:
    for name in [*old, *(name for name in new if name not in old)]:
        child = f"{path}[{name}]"
        a = before[old[name]] if name in old else _MISSING
        b = after[new[name]] if name in new else _MISSING
        yield from _compare(a, b, child)
    kept = [name for name in old if name in new]
    if kept != [name for name in new if name in old]:
        yield JsonChange("moved", path, [*kept], [name for name in new if name in old])


def _compare_runs(before: list[Any], after: list[Any], path: str) -> Iterator[JsonChange]:
    matcher = SequenceMatcher(
        a=[_key(i) for i in before], b=[_key(i) for i in after], autojunk=False
    )
    for tag, a1, a2, b1, b2 in matcher.get_opcodes():
        if tag != "equal":
            yield from _compare_in_place(before[a1:a2], after[b1:b2], a1, b1, path)


def _compare_in_place(
    before: list[Any], after: list[Any], a1: int, b1: int, path: str
) -> Iterator[JsonChange]:
    for at in range(max(len(before), len(after))):
        a = before[at] if at < len(before) else _MISSING
        b = after[at] if at < len(after) else _MISSING
        place = a1 + at if b is _MISSING else b1 + at
        yield from _compare(a, b, f"{path}[{place}]")


def _key(value: Any) -> Hashable:
    return (
        json.dumps(value, sort_keys=True)
        if isinstance(value, dict | list)
        else (type(value).__name__, value)
    )


def text_diff(before: str, after: str, *, context_lines: int = 3) -> list[TextLine]:
    """A unified diff. Beyond `MAX_TEXT_LINES` only the first lines are compared."""
    old, new = before.splitlines()[:MAX_TEXT_LINES], after.splitlines()[:MAX_TEXT_LINES]
    lines: list[TextLine] = []
    for line in list(unified_diff(old, new, n=context_lines, lineterm=""))[2:]:
        lines.append(TextLine(line[:1], line if line.startswith("@") else line[1:]))
    return lines
