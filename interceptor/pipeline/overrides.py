"""The x-ccproxy-hooks header: `+name` runs a hook without its guard, `-name` skips it."""

from __future__ import annotations

from dataclasses import dataclass

HEADER = "x-ccproxy-hooks"
MAX_NAMES = 50


@dataclass(frozen=True, slots=True)
class Overrides:
    """Hooks that a client forces or skips; names that no list holds are ignored."""

    forced: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()


NONE = Overrides()


def parse_overrides(value: str | None) -> Overrides:
    """Read the header's comma-separated list."""
    if not value:
        return NONE
    names = [part.strip() for part in value.split(",")[:MAX_NAMES]]
    return Overrides(
        forced=frozenset(n[1:].strip() for n in names if n.startswith("+")),
        skipped=frozenset(n[1:].strip() for n in names if n.startswith("-")),
    )
