"""Progress of a migration: one line of a terminal, and nothing elsewhere."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

type Show = Callable[[str], None]
"""Shows a text instead of the one before it."""

_WHAT: Final = "Bringing the database up to date"
_APPLYING: Final = re.compile(r"Applying (\S+?)\.\.\.")


class AppliedMigrations(io.TextIOBase):
    """Output of Django's `migrate`: shows each migration as it begins, "3 of 12: flows.0003_x".

    Args:
        total: number of migrations to be applied.
        show: gets the texts.
    """

    def __init__(self, total: int, show: Show) -> None:
        self._total = total
        self._show = show
        self._begun = 0

    def write(self, text: str) -> int:
        for name in _APPLYING.findall(text):
            self._begun += 1
            self._show(f"{self._begun} of {self._total}: {name}")
        return len(text)


@contextmanager
def step_line(stream: Any = None) -> Iterator[Show]:
    """Give a function that shows the newest step; the line is erased at the end."""
    output = stream or sys.stderr
    if not output.isatty():
        yield lambda _: None
        return

    def show(text: str) -> None:
        # To the line's begin, and erase it (ECMA-48 EL).
        output.write(f"\r\x1b[K{_WHAT}: {text}")
        output.flush()

    output.write(f"{_WHAT} …")
    output.flush()
    try:
        yield show
    finally:
        output.write("\r\x1b[K")
        output.flush()
