"""A scripted proxy."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.ccproxy_site.supervise.scripted_family import child


def main(arguments: Sequence[str]) -> int:
    """Be a proxy; return the exit code."""
    return child("proxy", arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
