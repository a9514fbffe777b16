"""Searches a body for a set of secrets, and only where it differs from one that was searched
before. Pure.

What a search looks for first are spots and named fields, which depend on the bytes around them
alone. So those of the earlier body are taken over where it is the same, and looked for anew where
the two part; from there on there is but one way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from flows.bytes.matching import Shared
from flows.redaction.json_fields import Field, fields, fields_again
from flows.redaction.scanner import MOST_SPOTS, Hit, Needles

REPEATED_FROM_BYTES = 32 * 1024
"""Smaller bodies are searched as fast as they are compared with an earlier one."""

_MOST_FIELDS = 500


@dataclass(frozen=True, slots=True)
class Searched:
    """What was found in `data`. `number`: of the set of secrets."""

    number: int
    data: bytes
    spots: tuple[Sequence[int], ...]
    """Of each scanner."""
    fields: Sequence[Field]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a body before it is searched: what an earlier one was found to have, and
    what they share.
    """

    searched: Searched
    shared: Shared


@dataclass(frozen=True, slots=True)
class Secrets:
    """A set of secrets to look for.

    `number`: no two sets have the same, even when one version was read for both.
    """

    version: tuple[int, int] = (-1, -1)
    number: int = 0
    registered: Needles = field(default_factory=Needles)
    learned: Needles = field(default_factory=lambda: Needles(encoded=False))

    def search(self, data: bytes, known: Known | None = None) -> tuple[list[Hit], Searched | None]:
        """Every hit, and what a search of a body that is like this one may use."""
        scanners = (self.registered, self.learned)
        if known and known.searched.number == self.number:
            before, shared = known.searched, known.shared
            named = fields_again(data, shared, before.fields)
            spots = tuple(
                scanner.spots_again(data, shared, at)
                for scanner, at in zip(scanners, before.spots, strict=True)
            )
        else:
            named, spots = fields(data), tuple(scanner.spots(data) for scanner in scanners)
        hits = [
            hit
            for scanner, at in zip(scanners, spots, strict=True)
            for hit in scanner.hits(data, at)
        ]
        hits += [found.hit for found in named]
        if (
            len(data) < REPEATED_FROM_BYTES
            or len(named) > _MOST_FIELDS
            or max(map(len, spots)) > MOST_SPOTS
        ):
            return hits, None
        return hits, Searched(self.number, data, spots, named)
