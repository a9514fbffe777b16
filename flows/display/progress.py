"""Progress of long work, on standard error and only for a person who watches a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

_FIRST_S: Final = 1.0
_EVERY_S: Final = 0.2


def counted[T](items: Iterable[T], total: int, noun: str, stream: Any) -> Iterator[T]:
    """Pass the items on, and count them on one line of a terminal.

    Work under a second writes nothing. Example: "120 of 1000 flows"; with an unknown total of 0,
    "120 flows".
    """
    of_total = f" of {total}" if total else ""
    shown = False
    due = time.monotonic() + _FIRST_S
    try:
        for number, item in enumerate(items, 1):
            yield item
            if time.monotonic() >= due and stream.isatty():
                stream.write(f"\r{number}{of_total} {noun}", ending="")
                stream.flush()
                shown = True
                due = time.monotonic() + _EVERY_S
    finally:
        if shown:
            # Erase the line, so that what is printed next starts at its begin (ECMA-48 EL).
            stream.write("\r\x1b[K", ending="")
