"""httpx without its command line, which loads click, rich and pygments: 4 MB in every proxy."""

from __future__ import annotations

import sys
from typing import cast

_COMMAND_LINE = "httpx._main"


def _import_without_command_line() -> None:
    """Import httpx as if its extra `cli` were not installed."""
    if "httpx" in sys.modules:
        return
    # None makes the import system raise ModuleNotFoundError, which httpx expects.
    modules = cast("dict[str, object]", sys.modules)
    modules[_COMMAND_LINE] = None
    try:
        import httpx  # noqa: F401
    finally:
        del modules[_COMMAND_LINE]


_import_without_command_line()

import httpx  # noqa: E402  # after its command line was left out

__all__ = ["httpx"]
