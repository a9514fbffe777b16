"""Methods under which what is not HTTP is recorded; apart, because short commands load little."""

from __future__ import annotations

from typing import Final

LOOKUP: Final = "DNS"
"""The method of a name lookup."""
NO_HTTP: Final = frozenset({LOOKUP, "TCP", "UDP", "TLS"})
"""Methods of flows of captured commands that are not HTTP."""
