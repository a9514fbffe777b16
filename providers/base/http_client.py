"""httpx, loaded with its first use and without its command line.

A start need not wait for it: it takes a twentieth of a proxy's imports. Its command line loads
click, rich and pygments: 4 MB in every proxy.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from providers.base.left_out import left_out


class _Httpx(ModuleType):
    """Stand-in that loads the module when something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        return getattr(load_httpx(), name)


def load_httpx() -> ModuleType:
    """Return the module. Its first import keeps the interpreter for 40 ms."""
    with left_out("httpx._main"):
        import httpx
    return httpx


if TYPE_CHECKING:
    import httpx
else:
    httpx = _Httpx("httpx")

__all__ = ["httpx"]
