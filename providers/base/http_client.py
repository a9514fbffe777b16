"""httpx without its command line, which loads click, rich and pygments: 4 MB in every proxy."""

from __future__ import annotations

from providers.base.left_out import left_out

with left_out("httpx._main"):
    import httpx

__all__ = ["httpx"]
