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

import base64
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

import re2

from flows.bytes.matching import Matching

FRAGMENT_BYTES = 14
LONG_BYTES = 512
_GRAM_BYTES = 8
_ALIGNMENT_BYTES = _GRAM_BYTES // 2
_SURE_BYTES = 11
"""A form at least this long holds a known gram at any alignment."""

_LONG_ENDS_BYTES = 128
_LONG_STRIDE = 9
_HEX_STRIDE = 5
"""Among 21 neighbouring offsets, multiples of five start at every alignment to four."""
_LONG_LANDMARK_STRIDE = 35
"""Finds fragments of 35 + 8 bytes in the middle of a long form."""
MAX_LANDMARKS = 2000
"""With more of them the complete data is compared."""
_LANDMARK_BYTES = _SURE_BYTES
"""No landmark and no short form is as long."""
_PATTERN_BYTES = 256 * 1024 * 1024
"""Upper limit of RE2's memory; it takes what its states need, 50 MB for 500 secrets.

With 64 MB, RE2 had no room to find the start of a match among 500 secrets, and fell back to a
matcher that took 150 ms for 1 MB instead of 3 ms.
"""
_SLICE_BYTES = 256 * 1024
_OFFSET_BITS = 32
_OFFSET_MASK = (1 << _OFFSET_BITS) - 1

_PUBLIC_PREFIX = re.compile(
    r"(?:sk|pk|rk|gsk|xai|pplx|nvapi|hf)[-_]"
    r"(?:(?:ant|proj|svcacct|admin|or|lf)-)?(?:(?:oat|ort|api|sid|admin|v)\d+-)?"
    r"|AIza|ya29\.|1//|eyJ[\w-]+\."
)
_GO_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


@dataclass(frozen=True, slots=True)
class Hit:
    """A fragment of a secret at data[start:end]."""

    start: int
    end: int
    secret: str


@dataclass(frozen=True, slots=True)
class Form:
    """A secret in one encoding."""

    secret: str
    data: bytes
    private_from: int
    """Offset behind the public prefix."""
    is_hex: bool = False
    """Two bytes a character: fragments are twice as long, and every fifth gram finds them."""

    @property
    def min_fragment_bytes(self) -> int:
        """Size from which a fragment counts; a form with a short private part counts complete."""
        size = len(self.data)
        fragment = FRAGMENT_BYTES * 2 if self.is_hex else FRAGMENT_BYTES
        private_bytes = size - self.private_from
        return fragment if private_bytes >= fragment else size

    @property
    def _counts_complete(self) -> bool:
        return self.min_fragment_bytes == len(self.data)

    def gram_offsets(self) -> Iterator[int]:
        """Yield the offsets of the eight bytes to remember."""
        last = len(self.data) - _GRAM_BYTES
        first = self.private_from
        if self._counts_complete:
            yield from range(max(0, last) + 1)
        elif self.is_hex:
            yield from range(first, last + 1, _HEX_STRIDE)
        elif len(self.data) <= LONG_BYTES:
            yield from range(first, last + 1)
        else:
            # All of the two ends, every ninth of the middle: a token of 2 KB takes 480 grams.
            middle = first + _LONG_ENDS_BYTES
            tail = max(middle, last - _LONG_ENDS_BYTES)
            yield from range(first, min(middle, last + 1))
            yield from range(middle, last - _LONG_ENDS_BYTES, _LONG_STRIDE)
            yield from range(tail, last + 1)

    def landmarks(self) -> set[bytes]:
        """Return eight bytes each, at least one of which is in every fragment that counts.

        A fragment of 14 bytes has seven windows of eight bytes, so every seventh offset suffices.
        """
        offsets = self._landmark_offsets()
        return {self.data[offset : offset + _GRAM_BYTES] for offset in offsets}

    def _landmark_offsets(self) -> Iterable[int]:
        if self._counts_complete:
            return (0,)
        last = max(0, len(self.data) - _GRAM_BYTES)
        stride = self.min_fragment_bytes - _GRAM_BYTES + 1
        regular = range(self.private_from, last + 1, stride)
        if self.is_hex or len(self.data) <= LONG_BYTES:
            return regular
        middle = self.private_from + _LONG_ENDS_BYTES
        tail = last - _LONG_ENDS_BYTES
        near_ends = [offset for offset in regular if offset < middle or offset >= tail]
        in_middle = range(middle, tail, _LONG_LANDMARK_STRIDE)
        return {*near_ends, middle, *in_middle, max(middle, tail)}

    def extend(self, data: bytes, position: int, offset: int) -> tuple[int, int]:
        """Return start and end of the longest fragment, where data[position:] has form[offset:]."""
        form = self.data
        # Mostly the secret is complete.
        complete_start = position - offset
        if complete_start >= 0 and data.startswith(form, complete_start):
            return complete_start, complete_start + len(form)
        start = position
        first = max(0, complete_start)
        while start > first and data[start - 1] == form[start - 1 - complete_start]:
            start -= 1
        end = position
        last = min(complete_start + len(form), len(data))
        while end < last and data[end] == form[end - complete_start]:
            end += 1
        return start, end


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
            self._landmarks = self._compile_landmarks()
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

    def _compile_landmarks(self) -> Any:
        literals = {form.data for form in self._short_forms}
        for form in self._forms:
            literals |= form.landmarks()
        return _alternatives(literals)

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
        forms = _encoded_forms(secret) if self._encoded else _plain_forms(secret)
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
            gram = int.from_bytes(form.data[offset : offset + _GRAM_BYTES], sys.byteorder)
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
            size = available // _GRAM_BYTES * _GRAM_BYTES
            grams = view[first : first + size].cast("Q")
            # Mostly nothing is known, and the set says so at the speed of C.
            if known.isdisjoint(grams):
                continue
            for index, gram in enumerate(grams):
                if gram in known:
                    positions.append(first + index * _GRAM_BYTES)
        return sorted(positions)

    def _longest(self, data: bytes, position: int) -> Hit | None:
        """Return the longest fragment around a known gram; None when all are too short to count."""
        gram = int.from_bytes(data[position : position + _GRAM_BYTES], sys.byteorder)
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
    options.max_mem = _PATTERN_BYTES
    return re2.compile(b"|".join(map(re2.escape, sorted(literals))), options)


def _plain_forms(secret: str) -> list[Form]:
    return [Form(secret, data, 0) for data in {_plain(secret), _json(secret)}]


@lru_cache(maxsize=32)
def _encoded_forms(secret: str) -> list[Form]:
    match = _PUBLIC_PREFIX.match(secret)
    prefix = match.group() if match else ""
    forms: dict[bytes, int] = {}
    for encode in _TEXT_ENCODINGS:
        forms.setdefault(encode(secret), len(encode(prefix)))
    for shift in range(3):
        encoded, private_from = _base64(secret, prefix, shift)
        url_safe = encoded.translate(bytes.maketrans(b"+/", b"-_"))
        forms.setdefault(encoded, private_from)
        forms.setdefault(url_safe, private_from)
    found = [Form(secret, data, private_from) for data, private_from in forms.items()]
    for encode in (_hex, _hex_upper):
        found.append(Form(secret, encode(secret), len(encode(prefix)), is_hex=True))
    return found


def _plain(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _json(text: str) -> bytes:
    return json.dumps(text)[1:-1].encode()


def _json_unicode(text: str) -> bytes:
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted[1:-1].encode("utf-8", "surrogatepass")


def _json_slashes(text: str) -> bytes:
    return _json(text).replace(b"/", b"\\/")


def _json_go(text: str) -> bytes:
    """Encode as Go's encoding/json does, which escapes <, > and & for HTML."""
    unescaped = _json_unicode(text).decode("utf-8", "surrogatepass")
    return unescaped.translate(_GO_ESCAPES).encode("utf-8", "surrogatepass")


def _url(text: str) -> bytes:
    return quote(_plain(text), safe="").encode()


def _url_lower(text: str) -> bytes:
    return re.sub(rb"%[0-9A-F]{2}", lambda match: match.group().lower(), _url(text))


def _url_form(text: str) -> bytes:
    return quote_plus(_plain(text), safe="").encode()


def _hex(text: str) -> bytes:
    return _plain(text).hex().encode()


def _hex_upper(text: str) -> bytes:
    return _hex(text).upper()


_TEXT_ENCODINGS: tuple[Callable[[str], bytes], ...] = (
    _plain,
    _json,
    _json_unicode,
    _json_slashes,
    _json_go,
    _url,
    _url_lower,
    _url_form,
)


def _base64(text: str, prefix: str, shift: int) -> tuple[bytes, int]:
    """Return base64 of `text` behind `shift` other bytes, and where its private part begins.

    Characters that also hold bits of the bytes before and behind are left out: "key" behind one
    byte is "??tleQ==", where "?" and "Q" depend on neighbours → "tle".
    """
    before = b"\0" * shift
    data = before + _plain(text)
    # A character holds six bits: those at both ends hold bits of neighbours too.
    first = math.ceil(shift * 8 / 6)
    last = len(data) * 8 // 6
    encoded = base64.b64encode(data)[first:last]
    public_bytes = shift + len(prefix.encode())
    private_character = math.ceil(public_bytes * 8 / 6)
    return encoded, max(0, private_character - first)
