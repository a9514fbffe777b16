"""Search of a body for a set of secrets, restricted to what differs from an earlier body. Pure.

A search has two steps. The first finds landmarks of secrets and named fields; they depend only on
the bytes around them. The second step reads the data at those positions. Where a body equals an
earlier one, the first step takes over the earlier positions, and searches only the gaps:

    earlier:  AAAA key BBBB           landmarks of `key` at 5
    body:     new, AAAA key BBBB, 1   position 5 maps to 10; only `new, ` and `, 1` are searched

The second step is the same for both, so the result does not depend on the path taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from flows.bytes.matching import Matching
from flows.redaction.json_fields import Field, find_fields, update_fields
from flows.redaction.presence import Presence
from flows.redaction.scanner import MAX_LANDMARKS, Hit, Scanner

REUSE_FROM_BYTES = 32 * 1024
"""Smaller bodies are searched as fast as they are compared with an earlier one."""

_MAX_FIELDS = 500


@dataclass(frozen=True, slots=True)
class SearchResult:
    """First step of a search of `data`. `set_number` identifies the set of secrets."""

    set_number: int
    data: bytes
    landmarks: tuple[Sequence[int], ...]
    """Positions, one sequence for each scanner."""
    fields: Sequence[Field]


@dataclass(frozen=True, slots=True)
class EarlierSearch:
    """Result for an earlier body, and what the body to search shares with that."""

    result: SearchResult
    matching: Matching


@dataclass(frozen=True, slots=True)
class SecretSet:
    """Secrets to search for.

    No two sets have the same `number`, even when both were built from one version. Results are
    kept for bodies of `reuse_from_bytes` or more.
    """

    version: tuple[int, int] = (-1, -1)
    number: int = 0
    registered: Scanner = field(default_factory=Scanner)
    learned: Scanner = field(default_factory=lambda: Scanner(encoded=False))
    reuse_from_bytes: int = REUSE_FROM_BYTES
    presence: Presence = field(default_factory=lambda: Presence(Scanner()))
    """Of the registered secrets."""

    def search(
        self, data: bytes, earlier: EarlierSearch | None = None
    ) -> tuple[list[Hit], SearchResult | None]:
        """Return every hit, and a result that the search of a similar body may use.

        There is no such result for small bodies and those with too many landmarks or fields.
        """
        # A result for another set says nothing about these secrets.
        if earlier is None or earlier.result.set_number != self.number:
            if self._holds_nothing(data):
                return [], self._nothing_found(data)
            found = self._first_step(data)
        else:
            found = self._updated(data, earlier)
        scanners = (self.registered, self.learned)
        hits: list[Hit] = []
        for scanner, landmarks in zip(scanners, found.landmarks, strict=True):
            hits += scanner.hits(data, landmarks)
        for named in found.fields:
            hits.append(named.hit)
        return hits, found if self._is_reusable(found) else None

    def _holds_nothing(self, data: bytes) -> bool:
        return self.presence.is_ruled_out(data) and not self.learned.find_landmarks(data)

    def _nothing_found(self, data: bytes) -> SearchResult | None:
        if len(data) < self.reuse_from_bytes:
            return None
        return SearchResult(self.number, data, ([], []), [])

    def _first_step(self, data: bytes) -> SearchResult:
        landmarks = (self.registered.find_landmarks(data), self.learned.find_landmarks(data))
        return SearchResult(self.number, data, landmarks, find_fields(data))

    def _updated(self, data: bytes, earlier: EarlierSearch) -> SearchResult:
        """Return the first step for `data`, with the positions of an earlier body."""
        matching = earlier.matching
        registered, learned = earlier.result.landmarks
        landmarks = (
            self.registered.update_landmarks(data, matching, registered),
            self.learned.update_landmarks(data, matching, learned),
        )
        fields = update_fields(data, matching, earlier.result.fields)
        return SearchResult(self.number, data, landmarks, fields)

    def _is_reusable(self, found: SearchResult) -> bool:
        if len(found.data) < self.reuse_from_bytes:
            return False
        if len(found.fields) > _MAX_FIELDS:
            return False
        # `find_landmarks` stops one beyond the limit: the sequence is not complete.
        return all(len(positions) <= MAX_LANDMARKS for positions in found.landmarks)
