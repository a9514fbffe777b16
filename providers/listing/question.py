"""Questions to a person at a terminal."""

from __future__ import annotations

import sys


def confirmed(question: str, *, yes: bool) -> bool:
    """Ask on a terminal; elsewhere only `--yes` confirms."""
    if yes:
        return True
    if not sys.stdin.isatty():
        return False
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
