"""End of a JSON object that arrives in parts, found without parsing it again and again."""

from __future__ import annotations

import re
from typing import Final

_MARKS: Final = re.compile(r'["\\{}\[\]]')
_IN_STRING: Final = re.compile(r'["\\]')


class JsonEnd:
    """Scanner for the closing brace of an object. Each character is read once.

    `{"a":` → open; `"}"` → open (the brace is text); `}` → complete. Text that begins with anything
    but an object is never complete: `1` may become `12`.
    """

    __slots__ = ("_depth", "_in_string", "_is_object", "_skip", "complete")

    def __init__(self) -> None:
        self.complete = False
        self._depth = 0
        self._in_string = False
        self._skip = False  # the first character of the next part is escaped
        self._is_object: bool | None = None

    def feed(self, text: str) -> None:
        """Read the next part."""
        if self._is_object is None and (start := text.lstrip()):
            self._is_object = start.startswith("{")
        if not self._is_object:
            return
        position = 1 if self._skip else 0
        self._skip = False
        while not self.complete:
            pattern = _IN_STRING if self._in_string else _MARKS
            found = pattern.search(text, position)
            if found is None:
                return
            position = self._mark(found.group(), found.end(), len(text))

    def _mark(self, mark: str, position: int, size: int) -> int:
        """Take one mark. Return the position from which to read on."""
        if mark == '"':
            self._in_string = not self._in_string
        elif mark == "\\":
            self._skip = position == size
            return position + 1
        elif mark in "{[":
            self._depth += 1
        else:
            self._depth -= 1
            self.complete = self._depth == 0
        return position
