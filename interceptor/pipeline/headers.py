"""Ordered, case-insensitive headers over an immutable tuple, which is free to keep as "before"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
CONTROL_BYTES = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""Bytes that no header value may hold (RFC 9110, 5.5); a tab may stand in one."""

Fields = tuple[tuple[bytes, bytes], ...]


class HeaderMap:
    """A request's headers in wire order, with their original spelling.

    Values are text (UTF-8, surrogateescape).
    """

    __slots__ = ("_indexed", "_values", "fields")

    fields: Fields

    def __init__(self, fields: Fields = ()) -> None:
        self.fields = fields
        self._indexed: Fields = ()
        self._values: Mapping[bytes, list[bytes]] = {}

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the first value of a header."""
        found = self._of(name)
        return found[0].decode("utf-8", "surrogateescape") if found else default

    def _of(self, name: str) -> list[bytes]:
        """Return the values of a header.

        The index holds for one tuple of fields; a request asks some thirty times.
        """
        if self._indexed is not self.fields:
            self._indexed, self._values = self.fields, values_by_name(self.fields)
        return self._values.get(_key(name), [])

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: str) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        self.remove(name)

    def get_all(self, name: str) -> list[str]:
        """Return every value of a header."""
        return [value.decode("utf-8", "surrogateescape") for value in self._of(name)]

    def set(self, name: str, value: str) -> None:
        """Give a header one value, at its old position if it had one, else at the end."""
        key, data, done = name.lower().encode(), _checked(name, value), False
        fields: list[tuple[bytes, bytes]] = []
        for old, old_value in self.fields:
            if old.lower() != key:
                fields.append((old, old_value))
            elif not done:
                fields.append((old, data))
                done = True
        if not done:
            fields.append((name.encode(), data))
        new = tuple(fields)
        if new != self.fields:
            self.fields = new

    def index(self, name: str) -> int | None:
        """Return the position of the first header of this name."""
        if not self._of(name):
            return None
        wanted = name.lower().encode()
        return next(place for place, (key, _) in enumerate(self.fields) if key.lower() == wanted)

    def insert(self, place: int, name: str, value: str) -> None:
        """Put a header at a position, in front of the header that stands there."""
        at = self.index(name)
        if at is None:
            field = (name.encode(), _checked(name, value))
            self.fields = (*self.fields[:place], field, *self.fields[place:])
            return
        self.set(name, value)
        if at != place:
            rest = self.fields[:at] + self.fields[at + 1 :]
            self.fields = (*rest[:place], self.fields[at], *rest[place:])

    def remove(self, name: str) -> None:
        """Drop every header of this name."""
        if self._of(name):
            wanted = name.lower().encode()
            self.fields = tuple(field for field in self.fields if field[0].lower() != wanted)

    def get_list(self, name: str) -> list[str]:
        """Return the parts of a comma-separated header."""
        return [
            part.strip()
            for value in self.get_all(name)
            for part in value.split(",")
            if part.strip()
        ]

    def set_list(self, name: str, parts: list[str]) -> None:
        """Write a comma-separated header.

        Unchanged parts leave the bytes alone; an empty list removes the header.
        """
        if parts == self.get_list(name):
            return
        if parts:
            self.set(name, ",".join(parts))
        else:
            self.remove(name)


def _checked(name: str, value: str) -> bytes:
    """Return the bytes of a value that may stand in a header."""
    if _CONTROLS.search(value):
        raise ValueError(f"the value for {name} contains control characters")
    return value.encode("utf-8", "surrogateescape")


def changed_names(before: Fields, after: Fields) -> list[str]:
    """Return lower-case names of headers whose values differ, in the order they appear."""
    if before is after or before == after:
        return []
    same_names = _changed_values(before, after)
    if same_names is not None:
        return same_names
    old, new = values_by_name(before), values_by_name(after)
    if old == new:
        return []
    return [
        name.decode("latin-1")
        for name in dict.fromkeys((*old, *new))
        if old.get(name) != new.get(name)
    ]


def _changed_values(before: Fields, after: Fields) -> list[str] | None:
    """Return the names whose values differ, or None where the two have other names.

    Most hooks change a value at its position, and most fields are the same objects then.
    """
    if len(before) != len(after):
        return None
    names: dict[bytes, None] = {}
    for old, new in zip(before, after, strict=True):
        if old is new:
            continue
        if old[0] != new[0]:
            return None
        if old[1] != new[1]:
            names[old[0].lower()] = None
    return [name.decode("latin-1") for name in names]


@lru_cache(maxsize=512)
def _key(name: str) -> bytes:
    """Return the name as the index has it; readers ask for some forty names again and again."""
    return name.lower().encode()


@lru_cache(maxsize=64)
def values_by_name(fields: Fields) -> Mapping[bytes, list[bytes]]:
    """Return lower-case names with their values, both in wire order; callers must not change them.

    Cached: the readers of a request look at the same headers one after the other, and at those
    before and after a change.
    """
    found: dict[bytes, list[bytes]] = {}
    for key, value in fields:
        found.setdefault(key.lower(), []).append(value)
    return found
