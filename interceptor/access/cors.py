"""CORS for listed origins: responses to preflights, and what every other response carries.

Source: the Fetch standard, 3.2 (CORS protocol), and Private Network Access for the header of that
name. Origins that are not listed get none of this.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

Headers = tuple[tuple[str, str], ...]

MAX_AGE_S = 600
"""How long a browser may remember a preflight; Chromium's own limit is two hours."""
_DEFAULT_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  # RFC 9110, 5.6.2
_METHOD = re.compile(_TOKEN, re.ASCII)
_NAMES = re.compile(rf"[ \t,]*{_TOKEN}(?:[ \t]*,[ \t]*{_TOKEN})*[ \t,]*", re.ASCII)
_PREFLIGHT_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
_UNEXPOSED = ("access-control-", "set-cookie", "vary")


def is_preflight(method: str, header: Callable[[str], str | None]) -> bool:
    """Return whether a browser asks if it may send the real request."""
    return method == "OPTIONS" and bool(header("access-control-request-method"))


def preflight_headers(header: Callable[[str], str | None]) -> Headers:
    """Return the headers of the response to a listed origin's preflight, all but the origin's."""
    method = header("access-control-request-method") or ""
    allowed = method if _METHOD.fullmatch(method) else _DEFAULT_METHODS
    found = [
        ("Access-Control-Allow-Methods", allowed),
        ("Access-Control-Max-Age", str(MAX_AGE_S)),
        ("Vary", _PREFLIGHT_VARY),
    ]
    names = header("access-control-request-headers") or ""
    # `*` would not cover authorization, and covers nothing where credentials are included.
    if _NAMES.fullmatch(names):
        found.append(("Access-Control-Allow-Headers", names.strip(" \t,")))
    if (header("access-control-request-private-network") or "").lower() == "true":
        found.append(("Access-Control-Allow-Private-Network", "true"))
    return tuple(found)


def origin_headers(origin: str, names: Iterable[str]) -> Headers:
    """Return what lets a listed origin read a response; `names` are those of its headers."""
    found = [
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Credentials", "true"),
    ]
    lower = dict.fromkeys(name.lower() for name in names)
    exposed = [name for name in lower if not name.startswith(_UNEXPOSED)]
    if exposed:
        found.append(("Access-Control-Expose-Headers", ", ".join(exposed)))
    return tuple(found)


def with_origin(vary: str) -> str:
    """Return a Vary header that names Origin: `accept` → `accept, Origin`."""
    names = [name.strip().lower() for name in vary.split(",")]
    if "*" in names or "origin" in names:
        return vary
    return f"{vary}, Origin" if vary else "Origin"
