"""Base path of clients that bring their own credential: `/to/PROVIDER`.

What follows it is the path at the provider's own host. The path is compared byte by byte: nothing
is decoded, so no spelling of a name leads anywhere else.
"""

from __future__ import annotations

import re
from typing import NamedTuple

PREFIX = "/to/"
_BASE = re.compile(r"/to/([^/?#]+)")
_TOKEN = re.compile(r"(/to/[^/?#]+?)\.(cct-[\w-]+)(?=[/?]|$)", re.ASCII)


class BasePath(NamedTuple):
    """A base path, and the path behind it with its query."""

    provider: str
    path: str


def split_base_path(path: str) -> BasePath | None:
    """Return the provider that a path's beginning names, and the rest; None for all other paths.

    /to/anthropic/v1/messages?beta=true → ("anthropic", "/v1/messages?beta=true")
    /to/anthropic → ("anthropic", "/")
    """
    found = _BASE.match(path)
    if found is None:
        return None
    rest = path[found.end() :]
    return BasePath(found[1], rest if rest.startswith("/") else f"/{rest}")


def take_path_token(path: str) -> tuple[str, str]:
    """Return a path without the client token of its base path, and the token; "" if it has none.

    /to/anthropic.cct-x/v1/messages → ("/to/anthropic/v1/messages", "cct-x")
    """
    found = _TOKEN.match(path)
    return (path, "") if found is None else (found[1] + path[found.end() :], found[2])
