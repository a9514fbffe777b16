"""Base paths: `/run/RUN` names the command that sent a request, `/to/PROVIDER` its destination.

Behind `/to/PROVIDER` the client brings its own credential. What follows is the path at the
provider's own host. The path is compared byte by byte: nothing is decoded, so no spelling of a name
leads anywhere else.
"""

from __future__ import annotations

import re
from typing import NamedTuple

RUN_PREFIX = "/run/"
PREFIX = "/to/"
_RUN = r"/run/(?P<run>[A-Za-z0-9][A-Za-z0-9._-]{0,63})(?=[/?]|$)"
_BASE = re.compile(rf"(?:{_RUN})?(?:/to/(?P<provider>[^/?#]+))?", re.ASCII)
_TOKEN = re.compile(rf"((?:{_RUN})?/to/[^/?#]+?)\.(?P<token>cct-[\w-]+)(?=[/?]|$)", re.ASCII)


class BasePath(NamedTuple):
    """The names in a base path, and the path behind it with its query."""

    run: str
    """"" where the client is no command of `ccproxy run`."""
    provider: str | None
    path: str


def split_base_path(path: str) -> BasePath | None:
    """Return the names at the beginning of a path, and the rest; None for all other paths.

    /to/anthropic/v1/messages?beta=true → ("", "anthropic", "/v1/messages?beta=true")
    /run/claude-1f/v1/messages → ("claude-1f", None, "/v1/messages")
    /to/anthropic → ("", "anthropic", "/")
    """
    found = _BASE.match(path)
    if found is None or not found[0]:
        return None
    rest = path[found.end() :]
    tidy = rest if rest.startswith("/") else f"/{rest}"
    return BasePath(found["run"] or "", found["provider"], tidy)


def take_path_token(path: str) -> tuple[str, str]:
    """Return a path without the client token of its base path, and the token; "" if it has none.

    /to/anthropic.cct-x/v1/messages → ("/to/anthropic/v1/messages", "cct-x")
    """
    found = _TOKEN.match(path)
    if found is None:
        return path, ""
    return found[1] + path[found.end() :], found["token"]
