"""Imports of libraries without the optional modules that they would load and ccproxy never uses."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast


@contextmanager
def left_out(*names: str) -> Iterator[None]:
    """Let imports of the modules `names` fail, as if they were not installed.

    A module that is loaded already stays. Afterwards all of them can be imported.
    """
    modules = cast("dict[str, object]", sys.modules)
    absent = [name for name in names if name not in modules]
    for name in absent:
        # None makes the import system raise ModuleNotFoundError, which the libraries expect.
        modules[name] = None
    try:
        yield
    finally:
        for name in absent:
            del modules[name]
