"""Pydantic without its search for plugins, which ccproxy never uses.

Before the first model pydantic reads the entry points of all installed packages, 15 to 25 ms
of each process. Its switch PYDANTIC_DISABLE_PLUGINS would reach the commands that ccproxy runs.
"""

from __future__ import annotations

from pydantic.plugin import _loader


def search_no_plugins() -> None:
    """Let pydantic believe that it has searched and found none; later models do not search."""
    if _loader._plugins is None:
        _loader._plugins = {}
