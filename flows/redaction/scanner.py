"""Finds secrets in bytes: whole, cut short, or encoded. Pure.

Every secret is written out in the forms it may take (plain, JSON-escaped, URL-encoded, hex, base64
at each of its three alignments), and every eight bytes of a form are remembered as one integer.
Where data holds one of a few landmarks of them it is read as integers too, once from its start and
once from its fifth byte, and compared at the speed of a set: the cost does not grow with the number
of secrets. Only where an integer is known the neighbourhood is compared with the form. Any 11 bytes
contain eight that start at a multiple of four, so every piece of at least `FRAGMENT_BYTES` is
found, wherever it was cut.

Two exceptions. What every key of a vendor begins with (`sk-ant-api03-`, the first part of a JSON
web token) is no secret: a piece counts only when it reaches into what follows. And of a form longer
than `LONG_BYTES`, pieces of 14 bytes are found near its ends; from its middle a piece needs 43.
"""

from __future__ import annotations

import base64
import json
import math
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

import re2

from flows.bytes.matching import Shared

FRAGMENT_BYTES = 14
LONG_BYTES = 512
_GRAM_BYTES = 8
_SURE_BYTES = 11
"""A form at least this long holds a remembered integer at any alignment."""

_LONG_ENDS_BYTES = 128
_LONG_STRIDE = 9
_HEX_STRIDE = 5
"""Among 21 neighbouring offsets, multiples of five start at every alignment to four."""
_LONG_LANDMARK_STRIDE = 35
"""From the middle of a long form pieces of 43 bytes are found."""
MOST_SPOTS = 2000
"""With more of them all of the data is compared."""
SPOT_BYTES = _SURE_BYTES
"""No landmark and no short form is as long."""
_PATTERN_BYTES = 64 * 1024 * 1024
_SLICE_BYTES = 256 * 1024
_OFFSET_BITS = 32

_PUBLIC_PREFIX = re.compile(
    r"(?:sk|pk|rk|gsk|xai|pplx|nvapi|hf)[-_](?:(?:ant|proj|svcacct|admin|or|lf)-)?(?:(?:oat|ort|api|sid|admin|v)\d+-)?"
    r"|AIza|ya29\.|1//|eyJ[\w-]+\."
)
_GO_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


@dataclass(frozen=True, slots=True)
class Hit:
    """A piece of a secret at data[start:end]."""

    start: int
    end: int
    secret: str


@dataclass(frozen=True, slots=True)
class _Form:
    secret: str
    data: bytes
    private_from: int
    """Offset where the part that is really secret begins."""
    is_hex: bool = False
    """Two bytes a character: pieces are twice as long, and every fifth integer finds them."""

    @property
    def least_bytes(self) -> int:
        """How long a piece must be to count."""
        least = FRAGMENT_BYTES * 2 if self.is_hex else FRAGMENT_BYTES
        return least if self._private_bytes >= least else len(self.data)

    @property
    def _private_bytes(self) -> int:
        return len(self.data) - self.private_from

    def gram_offsets(self) -> Iterator[int]:
        """Where to take integers from."""
        last = len(self.data) - _GRAM_BYTES
        if self.least_bytes == len(self.data):
            yield from range(max(0, last) + 1)
        elif self.is_hex:
            yield from range(self.private_from, last + 1, _HEX_STRIDE)
        elif len(self.data) <= LONG_BYTES:
            yield from range(self.private_from, last + 1)
        else:
            near = self.private_from + _LONG_ENDS_BYTES
            yield from range(self.private_from, min(near, last + 1))
            yield from range(near, last - _LONG_ENDS_BYTES, _LONG_STRIDE)
            yield from range(max(near, last - _LONG_ENDS_BYTES), last + 1)

    def landmarks(self) -> set[bytes]:
        """Eight bytes each: at least one of them is in every piece that `gram_offsets` is made to
        find.
        """
        last = max(0, len(self.data) - _GRAM_BYTES)
        step = self.least_bytes - _GRAM_BYTES + 1
        offsets = (
            {0}
            if self.least_bytes == len(self.data)
            else {*range(self.private_from, last + 1, step)}
        )
        if len(self.data) > LONG_BYTES and not self.is_hex and self.least_bytes < len(self.data):
            near, far = self.private_from + _LONG_ENDS_BYTES, last - _LONG_ENDS_BYTES
            offsets = {offset for offset in offsets if not near <= offset < far}
            offsets |= {near, *range(near, far, _LONG_LANDMARK_STRIDE), max(near, far)}
        return {self.data[offset : offset + _GRAM_BYTES] for offset in offsets}

    def around(self, data: bytes, at: int, offset: int) -> tuple[int, int]:
        """The longest piece of this form in `data` when data[at:] continues form[offset:]."""
        start = at - offset
        if start >= 0 and data.startswith(self.data, start):
            return start, start + len(self.data)
        left = 0
        while left < min(offset, at) and data[at - left - 1] == self.data[offset - left - 1]:
            left += 1
        right, room = 0, min(len(self.data) - offset, len(data) - at)
        while right < room and data[at + right] == self.data[offset + right]:
            right += 1
        return at - left, at + right


class Needles:
    """A scanner for a fixed set of secret values, each at least eight characters long.

    `encoded=False` looks for the values as they are and JSON-escaped, which needs far less memory.
    """

    def __init__(self, secrets: Iterable[str] = (), *, encoded: bool = True) -> None:
        self._encoded = encoded
        self._forms: list[_Form] = []
        self._grams: dict[int, int | list[int]] = {}
        self._short: list[_Form] = []
        self._landmarks: Any = None
        self._longest_bytes = 0
        for secret in secrets:
            self._add(secret)

    def with_secrets(self, secrets: Iterable[str], *, encoded: bool | None = None) -> Needles:
        """The same scanner, for more secrets."""
        more = Needles(encoded=self._encoded if encoded is None else encoded)
        more._forms, more._short = list(self._forms), list(self._short)
        more._longest_bytes = self._longest_bytes
        more._grams = {
            gram: list(at) if isinstance(at, list) else at for gram, at in self._grams.items()
        }
        for secret in secrets:
            more._add(secret)
        return more

    def __bool__(self) -> bool:
        return bool(self._forms or self._short)

    def hits(self, data: bytes, spots: Sequence[int] | None = None) -> list[Hit]:
        """Every piece of a secret in `data`, in order, not overlapping.

        `spots`: what `spots(data)` gives, if known.
        """
        spots = self.spots(data) if spots is None else spots
        if not spots:
            return []
        if len(spots) > MOST_SPOTS:
            candidates, short = self._candidates(data, [(0, len(data))]), self._short_hits(data)
        else:
            candidates, short = (
                self._candidates(data, self._around(spots)),
                self._short_hits_at(data, spots),
            )
        found: list[Hit] = []
        for at in candidates:
            if found and at < found[-1].end:
                continue
            if (hit := self._longest(data, at)) is not None:
                found.append(hit)
        return merged([*found, *short])

    def spots(self, data: bytes, start: int = 0, end: int | None = None) -> list[int]:
        """Where a landmark or a short form stands in data[start:end], at most one more than
        `MOST_SPOTS` of them.

        A piece without one does not count. RE2 looks for them in a seventh of the time that
        comparing takes.
        """
        if not self:
            return []
        if self._landmarks is None:
            marks = {mark for form in self._forms for mark in form.landmarks()}
            self._landmarks = _alternatives(marks | {form.data for form in self._short})
        found: list[int] = []
        end = len(data) if end is None else end
        while (
            len(found) <= MOST_SPOTS
            and (match := self._landmarks.search(data, start, end)) is not None
        ):
            found.append(match.start())
            start = match.start() + 1
        return found

    def spots_again(self, data: bytes, shared: Shared, before: Iterable[int]) -> list[int]:
        """The same for `data`, much of which stood in an earlier body with the spots `before`."""
        moved = shared.moved((at, at + 1) for at in before)
        found = {at for at in moved if self._landmarks.match(data, at) is not None}
        for start, end in shared.seams():
            found.update(
                self.spots(data, max(0, start - SPOT_BYTES), min(len(data), end + SPOT_BYTES))
            )
        return sorted(found)

    def _around(self, spots: Iterable[int]) -> Iterator[tuple[int, int]]:
        """The parts of the data that a piece with a spot in it may lie in, in order, not
        overlapping.
        """
        part: tuple[int, int] | None = None
        for at in spots:
            start, end = at - self._longest_bytes, at + self._longest_bytes
            if part is not None and start > part[1]:
                yield part
                part = None
            part = (part[0], end) if part is not None else (max(0, start), end)
        if part is not None:
            yield part

    def _add(self, secret: str) -> None:
        self._landmarks = None
        for form in _forms(secret) if self._encoded else _plain_forms(secret):
            if len(form.data) < _SURE_BYTES:
                self._short.append(form)
                continue
            self._forms.append(form)
            self._longest_bytes = max(self._longest_bytes, len(form.data))
            for offset in form.gram_offsets():
                self._remember(
                    form.data[offset : offset + _GRAM_BYTES], len(self._forms) - 1, offset
                )

    def _remember(self, data: bytes, form: int, offset: int) -> None:
        gram, place = int.from_bytes(data, sys.byteorder), form << _OFFSET_BITS | offset
        known = self._grams.setdefault(gram, place)
        if isinstance(known, list):
            known.append(place)
        elif known != place:
            self._grams[gram] = [known, place]

    def _candidates(self, data: bytes, parts: Iterable[tuple[int, int]]) -> Iterator[int]:
        """Positions in parts of the data where eight bytes are known, in order."""
        for start, end in parts:
            start -= start % (_GRAM_BYTES // 2)
            for base in range(start, min(end, len(data)) if self._grams else start, _SLICE_BYTES):
                yield from self._candidates_in(data, base, min(base + _SLICE_BYTES, end))

    def _candidates_in(self, data: bytes, start: int, end: int) -> list[int]:
        view, known = memoryview(data), self._grams.keys()
        positions: list[int] = []
        for first in (start, start + _GRAM_BYTES // 2):
            room = min(end - start, len(data) - first) // _GRAM_BYTES * _GRAM_BYTES
            grams = view[first : first + max(0, room)].cast("Q")
            if not known.isdisjoint(grams):
                positions += [
                    first + at * _GRAM_BYTES for at, gram in enumerate(grams) if gram in known
                ]
        return sorted(positions)

    def _longest(self, data: bytes, at: int) -> Hit | None:
        best: Hit | None = None
        places = self._grams[int.from_bytes(data[at : at + _GRAM_BYTES], sys.byteorder)]
        for place in places if isinstance(places, list) else (places,):
            form = self._forms[place >> _OFFSET_BITS]
            start, end = form.around(data, at, place & (1 << _OFFSET_BITS) - 1)
            if end - start >= form.least_bytes and (
                best is None or end - start > best.end - best.start
            ):
                best = Hit(start, end, form.secret)
        return best

    def _short_hits(self, data: bytes) -> Iterator[Hit]:
        for form in self._short:
            start = data.find(form.data)
            while start >= 0:
                yield Hit(start, start + len(form.data), form.secret)
                start = data.find(form.data, start + len(form.data))

    def _short_hits_at(self, data: bytes, spots: Iterable[int]) -> Iterator[Hit]:
        for form in self._short:
            end = 0
            for at in spots:
                if at >= end and data.startswith(form.data, at):
                    end = at + len(form.data)
                    yield Hit(at, end, form.secret)


def _alternatives(literals: set[bytes]) -> Any:
    """A pattern that finds any of `literals`.

    RE2 makes its states as it meets data, and forgets them at a limit.
    """
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_capture = True
    options.max_mem = _PATTERN_BYTES
    return re2.compile(b"|".join(map(re2.escape, sorted(literals))), options)


def merged(hits: Iterable[Hit]) -> list[Hit]:
    """Hits in order; overlapping ones become one, with the secret of the first."""
    ordered: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: hit.start):
        if ordered and hit.start < ordered[-1].end:
            before = ordered.pop()
            hit = Hit(before.start, max(before.end, hit.end), before.secret)
        ordered.append(hit)
    return ordered


def _plain_forms(secret: str) -> list[_Form]:
    return [_Form(secret, data, 0) for data in {_plain(secret), _json(secret)}]


@lru_cache(maxsize=32)
def _forms(secret: str) -> list[_Form]:
    prefix = match.group() if (match := _PUBLIC_PREFIX.match(secret)) else ""
    forms: dict[bytes, int] = {}
    for encode in (
        _plain,
        _json,
        _json_unicode,
        _json_slashes,
        _json_go,
        _url,
        _url_lower,
        _url_form,
    ):
        forms.setdefault(encode(secret), len(encode(prefix)))
    for shift in range(3):
        private_bits = (shift + len(prefix.encode())) * 8
        encoded, skipped = _base64(secret, shift)
        private_from = max(0, math.ceil(private_bits / 6) - skipped)
        forms.setdefault(encoded, private_from)
        forms.setdefault(encoded.translate(bytes.maketrans(b"+/", b"-_")), private_from)
    found = [_Form(secret, data, private_from) for data, private_from in forms.items()]
    return [
        *found,
        *(
            _Form(secret, encode(secret), len(encode(prefix)), True)
            for encode in (_hex, _hex_upper)
        ),
    ]


def _plain(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _json(text: str) -> bytes:
    return json.dumps(text)[1:-1].encode()


def _json_unicode(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass")


def _json_slashes(text: str) -> bytes:
    return _json(text).replace(b"/", b"\\/")


def _json_go(text: str) -> bytes:
    return (
        _json_unicode(text)
        .decode("utf-8", "surrogatepass")
        .translate(_GO_ESCAPES)
        .encode("utf-8", "surrogatepass")
    )


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


def _base64(text: str, shift: int) -> tuple[bytes, int]:
    """The part of the base64 text that does not depend on what stands before and after, and what
    was skipped.
    """
    data = b"\0" * shift + _plain(text)
    skipped = math.ceil(shift * 8 / 6)
    return base64.b64encode(data)[skipped : len(data) * 8 // 6], skipped
