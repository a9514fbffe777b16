"""A recorded request as plain values, and the release of the client that sent it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

Headers = tuple[tuple[str, str], ...]
"""((name, value), ...) in wire order, with duplicates."""

_RELEASE: Final = re.compile(r"\s*([^/\s()]{1,64})/([0-9A-Za-z][0-9A-Za-z.+_-]{0,63})")


@dataclass(frozen=True, slots=True)
class CapturedRequest:
    """A request, as far as a shape consists of one. `query` has no question mark."""

    method: str
    path: str
    query: str
    headers: Headers
    body: dict[str, Any]

    def header(self, name: str) -> str:
        """Return the first value of a header (`name` in lower case), or ""."""
        for line_name, value in self.headers:
            if line_name.lower() == name:
                return value
        return ""


class Release(NamedTuple):
    """A client's family, in lower case, and its version; both empty if it names none."""

    family: str
    version: str


def client_release(user_agent: str) -> Release:
    """Read family and version: "claude-cli/2.1.332 (external, cli)" → claude-cli, 2.1.332."""
    found = _RELEASE.match(user_agent)
    if found is None:
        return Release("", "")
    return Release(found[1].lower(), found[2])
