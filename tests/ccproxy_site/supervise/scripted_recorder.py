"""A scripted recorder."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.ccproxy_site.supervise.scripted_family import child


def main(arguments: Sequence[str]) -> int:
    """Be a recorder; return the exit code."""
    return child("recorder", arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
