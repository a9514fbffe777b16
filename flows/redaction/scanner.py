"""Scanner for secrets in bytes: complete, in fragments, or encoded. Pure.

Every secret is written out in the forms it may take: plain, JSON-escaped, URL-encoded, hex, and
base64 at each of its three alignments. A search then has two steps:

1. RE2 looks for landmarks: eight bytes each, chosen so that every fragment that counts holds one.
2. Around a landmark the data is read as integers of eight bytes, once from an aligned position and
   once from four bytes behind it. A set knows the integers of every form ("grams"). Where one is
   known, the neighbourhood is compared with the form, byte for byte.

    secret  abcdefghijklmnopqrst      landmark every 7 bytes: abcdefgh, hijklmno
    data    ....ghijklmnopqrst....    RE2 finds hijklmno at 5
    grams   data[4:12] = "ghijklmn"   is known at offset 6 of the form
    hit     data[4:18]                after extending to both sides

Any 11 bytes contain eight that start at a multiple of four, so every fragment of `FRAGMENT_BYTES`
or more is found, at any alignment, and the cost does not grow with the number of secrets.

Two exceptions. The public beginning of a vendor's keys (`sk-ant-api03-`, the header of a JSON web
token) is no secret: a fragment counts only when it reaches beyond. And of a form longer than
`LONG_BYTES`, fragments of 14 bytes are found near its ends; from its middle a fragment needs 43.

docs/decisions/006-secret-scanner.md compares it with an Aho-Corasick automaton.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import re2

from flows.bytes.matching import Matching
from flows.redaction.secret_forms import GRAM_BYTES, Form, encoded_forms, plain_forms

_ALIGNMENT_BYTES = GRAM_BYTES // 2
_SURE_BYTES = 11
"""A form at least this long holds a known gram at any alignment."""

MAX_LANDMARKS = 2000
"""With more of them the complete data is compared."""
_LANDMARK_BYTES = _SURE_BYTES
"""No landmark and no short form is as long."""
PATTERN_BYTES = 256 * 1024 * 1024
"""Upper limit of RE2's memory; it takes what its states need, 50 MB for 500 secrets.

With 64 MB, RE2 had no room to find the start of a match among 500 secrets, and fell back to a
matcher that took 150 ms for 1 MB instead of 3 ms.
"""
_SLICE_BYTES = 256 * 1024
_OFFSET_BITS = 32
_OFFSET_MASK = (1 << _OFFSET_BITS) - 1


@dataclass(frozen=True, slots=True)
class Hit:
    """A fragment of a secret at data[start:end]."""

    start: int
    end: int
    secret: str


class Scanner:
    """A scanner for a fixed set of secrets, each at least eight characters long.

    `encoded=False` searches only plain and JSON-escaped values, which needs far less memory.
    """

    def __init__(self, secrets: Iterable[str] = (), *, encoded: bool = True) -> None:
        self._encoded = encoded
        self._forms: list[Form] = []
        self._short_forms: list[Form] = []
        # Gram → where it stands, as form index << 32 | offset; a list when in several.
        self._grams: dict[int, int | list[int]] = {}
        self._landmarks: Any = None
        self._longest_bytes = 0
        for secret in secrets:
            self._add(secret)

    def with_secrets(self, secrets: Iterable[str], *, encoded: bool | None = None) -> Scanner:
        """Return a scanner for these secrets as well."""
        more = Scanner(encoded=self._encoded if encoded is None else encoded)
        more._forms = list(self._forms)
        more._short_forms = list(self._short_forms)
        more._longest_bytes = self._longest_bytes
        for gram, found in self._grams.items():
            more._grams[gram] = list(found) if isinstance(found, list) else found
        for secret in secrets:
            more._add(secret)
        return more

    def __bool__(self) -> bool:
        return bool(self._forms or self._short_forms)

    @property
    def forms(self) -> Sequence[Form]:
        """Forms that are found in fragments; shorter ones are found complete only."""
        return self._forms

    def hits(self, data: bytes, landmarks: Sequence[int] | None = None) -> list[Hit]:
        """Return every fragment of a secret in `data`, in order, not overlapping.

        `landmarks`: the result of `find_landmarks(data)`, if known.
        """
        if landmarks is None:
            landmarks = self.find_landmarks(data)
        if not landmarks:
            return []
        if len(landmarks) > MAX_LANDMARKS:
            candidates = self._candidates(data, [(0, len(data))])
            short = self._short_hits(data)
        else:
            candidates = self._candidates(data, self._neighbourhoods(landmarks))
            short = self._short_hits_at(data, landmarks)
        found: list[Hit] = []
        end = 0
        for position in candidates:
            # Every gram of a fragment is a candidate; the first one finds all of it.
            if position < end:
                continue
            hit = self._longest(data, position)
            if hit is not None:
                found.append(hit)
                end = hit.end
        return merge_hits([*found, *short])

    def find_landmarks(self, data: bytes, start: int = 0, end: int | None = None) -> list[int]:
        """Return the positions of landmarks and short forms in data[start:end].

        At most one more than `MAX_LANDMARKS`. RE2 takes a seventh of the time of comparing.
        """
        if not self:
            return []
        if self._landmarks is None:
            self._landmarks = _alternatives(self.literals())
        search = self._landmarks.search
        end = len(data) if end is None else end
        found: list[int] = []
        match = search(data, start, end)
        while match is not None and len(found) <= MAX_LANDMARKS:
            position = match.start()
            found.append(position)
            # Landmarks overlap, so the next may begin one byte later.
            match = search(data, position + 1, end)
        return found

    def update_landmarks(
        self, data: bytes, matching: Matching, earlier: Iterable[int]
    ) -> list[int]:
        """Return `find_landmarks(data)`, given the positions in the base of `matching`."""
        spans = ((position, position + 1) for position in earlier)
        found: set[int] = set()
        # A landmark at the end of a block may go on differently here.
        for position in matching.map_spans(spans):
            if self._landmarks.match(data, position) is not None:
                found.add(position)
        for start, end in matching.gaps():
            first = max(0, start - _LANDMARK_BYTES)
            last = min(len(data), end + _LANDMARK_BYTES)
            found.update(self.find_landmarks(data, first, last))
        return sorted(found)

    def literals(self) -> set[bytes]:
        """Return the landmarks and the short forms: data without any of them has no hit."""
        literals = {form.data for form in self._short_forms}
        for form in self._forms:
            literals |= form.landmarks()
        return literals

    def _neighbourhoods(self, landmarks: Iterable[int]) -> Iterator[tuple[int, int]]:
        """Yield the parts of the data that a fragment with a landmark may lie in.

        In order, not overlapping: landmarks 100 and 150, forms of up to 80 bytes → (20, 230).
        """
        reach = self._longest_bytes
        start: int | None = None
        end = 0
        for position in landmarks:
            if start is None:
                start = max(0, position - reach)
            elif position - reach > end:
                yield start, end
                start = position - reach
            end = position + reach
        if start is not None:
            yield start, end

    def _add(self, secret: str) -> None:
        self._landmarks = None
        forms = encoded_forms(secret) if self._encoded else plain_forms(secret)
        for form in forms:
            if len(form.data) < _SURE_BYTES:
                self._short_forms.append(form)
            else:
                self._add_form(form)

    def _add_form(self, form: Form) -> None:
        form_bits = len(self._forms) << _OFFSET_BITS
        self._forms.append(form)
        self._longest_bytes = max(self._longest_bytes, len(form.data))
        grams = self._grams
        for offset in form.gram_offsets():
            gram = int.from_bytes(form.data[offset : offset + GRAM_BYTES], sys.byteorder)
            entry = form_bits | offset
            known = grams.setdefault(gram, entry)
            if isinstance(known, list):
                known.append(entry)
            elif known != entry:
                grams[gram] = [known, entry]

    def _candidates(self, data: bytes, parts: Iterable[tuple[int, int]]) -> Iterator[int]:
        """Yield the positions in parts of the data where a gram is known, in order."""
        if not self._grams:
            return
        for start, end in parts:
            aligned = start - start % _ALIGNMENT_BYTES
            for slice_start in range(aligned, min(end, len(data)), _SLICE_BYTES):
                slice_end = min(slice_start + _SLICE_BYTES, end)
                yield from self._candidates_in(data, slice_start, slice_end)

    def _candidates_in(self, data: bytes, start: int, end: int) -> list[int]:
        view = memoryview(data)
        known = self._grams.keys()
        positions: list[int] = []
        for first in (start, start + _ALIGNMENT_BYTES):
            available = max(0, min(end - start, len(data) - first))
            size = available // GRAM_BYTES * GRAM_BYTES
            grams = view[first : first + size].cast("Q")
            # Mostly nothing is known, and the set says so at the speed of C.
            if known.isdisjoint(grams):
                continue
            for index, gram in enumerate(grams):
                if gram in known:
                    positions.append(first + index * GRAM_BYTES)
        return sorted(positions)

    def _longest(self, data: bytes, position: int) -> Hit | None:
        """Return the longest fragment around a known gram; None when all are too short to count."""
        gram = int.from_bytes(data[position : position + GRAM_BYTES], sys.byteorder)
        entries = self._grams[gram]
        if not isinstance(entries, list):
            entries = [entries]
        best: Hit | None = None
        best_bytes = 0
        for entry in entries:
            form = self._forms[entry >> _OFFSET_BITS]
            start, end = form.extend(data, position, entry & _OFFSET_MASK)
            size = end - start
            if size >= form.min_fragment_bytes and size > best_bytes:
                best = Hit(start, end, form.secret)
                best_bytes = size
        return best

    def _short_hits(self, data: bytes) -> Iterator[Hit]:
        for form in self._short_forms:
            start = data.find(form.data)
            while start >= 0:
                end = start + len(form.data)
                yield Hit(start, end, form.secret)
                start = data.find(form.data, end)

    def _short_hits_at(self, data: bytes, landmarks: Iterable[int]) -> Iterator[Hit]:
        for form in self._short_forms:
            end = 0
            for position in landmarks:
                if position >= end and data.startswith(form.data, position):
                    end = position + len(form.data)
                    yield Hit(position, end, form.secret)


def merge_hits(hits: Iterable[Hit]) -> list[Hit]:
    """Return hits in order; overlapping ones become one, with the secret of the first.

    (0, 5, "a"), (3, 9, "b"), (9, 12, "c") → (0, 9, "a"), (9, 12, "c")
    """
    merged: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: hit.start):
        if merged and hit.start < merged[-1].end:
            before = merged.pop()
            hit = Hit(before.start, max(before.end, hit.end), before.secret)
        merged.append(hit)
    return merged


def _alternatives(literals: set[bytes]) -> Any:
    """Compile a pattern that finds any of `literals`.

    RE2 creates its states while it reads data, and discards them at its memory limit.
    """
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_capture = True
    options.max_mem = PATTERN_BYTES
    return re2.compile(b"|".join(map(re2.escape, sorted(literals))), options)
