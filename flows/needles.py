"""Finds secrets in bytes: whole, cut short, or encoded. Pure.

Every secret is written out in the forms it may take (plain, JSON-escaped, URL-encoded, base64 at each of its three
alignments). From each form one block of seven bytes in seven is an anchor; one linear-time expression of all anchors
scans the data once, and only where an anchor is hit the neighbourhood is compared with the form. Any 13 bytes of a form
hold a whole anchor, so every piece of at least `FRAGMENT_BYTES` is found, wherever it was cut.

What every key of a vendor begins with (`sk-ant-api03-`, the first part of a JSON web token) is no secret: a piece
counts only when it reaches into what follows.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

import re2

FRAGMENT_BYTES = 14
_ANCHOR_BYTES = 7
_SCANNER_MEMORY_BYTES = 32 * 1024 * 1024

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

    @property
    def least_bytes(self) -> int:
        """How long a piece must be to count."""
        return FRAGMENT_BYTES if self._private_bytes >= FRAGMENT_BYTES else len(self.data)

    @property
    def _private_bytes(self) -> int:
        return len(self.data) - self.private_from

    def anchor_offsets(self) -> Iterable[int]:
        if self.least_bytes == len(self.data):
            return (len(self.data) - _ANCHOR_BYTES,)
        return range(self.private_from, len(self.data) - _ANCHOR_BYTES + 1, _ANCHOR_BYTES)

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
    """A scanner for a fixed set of secret values (each at least eight characters)."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._anchors: dict[bytes, list[tuple[_Form, int]]] = {}
        for secret in secrets:
            for form in _forms(secret):
                for offset in form.anchor_offsets():
                    anchor = form.data[offset : offset + _ANCHOR_BYTES]
                    self._anchors.setdefault(anchor, []).append((form, offset))
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.max_mem = _SCANNER_MEMORY_BYTES
        options.never_capture = True
        self._scanner = re2.compile(b"|".join(map(re2.escape, self._anchors)), options) if self._anchors else None

    def __bool__(self) -> bool:
        return self._scanner is not None

    def hits(self, data: bytes) -> list[Hit]:
        """Every piece of a secret in `data`, in order, not overlapping."""
        found: list[Hit] = []
        position = 0
        while self._scanner is not None and (match := self._scanner.search(data, position)) is not None:
            at = match.start()
            hit = self._longest(data, at)
            if hit is None:
                position = at + 1
                continue
            if found and hit.start <= found[-1].end:
                before = found.pop()
                hit = Hit(min(before.start, hit.start), hit.end, before.secret)
            found.append(hit)
            position = hit.end
        return found

    def _longest(self, data: bytes, at: int) -> Hit | None:
        best: Hit | None = None
        for form, offset in self._anchors[data[at : at + _ANCHOR_BYTES]]:
            start, end = form.around(data, at, offset)
            if end - start >= form.least_bytes and (best is None or end - start > best.end - best.start):
                best = Hit(start, end, form.secret)
        return best


def _forms(secret: str) -> list[_Form]:
    prefix = match.group() if (match := _PUBLIC_PREFIX.match(secret)) else ""
    forms: dict[bytes, int] = {}
    for encode in (_plain, _json, _json_unicode, _json_slashes, _json_go, _url, _url_lower, _url_form):
        forms.setdefault(encode(secret), len(encode(prefix)))
    for shift in range(3):
        private_bits = (shift + len(prefix.encode())) * 8
        encoded, skipped = _base64(secret, shift)
        private_from = max(0, math.ceil(private_bits / 6) - skipped)
        forms.setdefault(encoded, private_from)
        forms.setdefault(encoded.translate(bytes.maketrans(b"+/", b"-_")), private_from)
    return [_Form(secret, data, private_from) for data, private_from in forms.items()]


def _plain(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _json(text: str) -> bytes:
    return json.dumps(text)[1:-1].encode()


def _json_unicode(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass")


def _json_slashes(text: str) -> bytes:
    return _json(text).replace(b"/", b"\\/")


def _json_go(text: str) -> bytes:
    return _json_unicode(text).decode("utf-8", "surrogatepass").translate(_GO_ESCAPES).encode("utf-8", "surrogatepass")


def _url(text: str) -> bytes:
    return quote(_plain(text), safe="").encode()


def _url_lower(text: str) -> bytes:
    return re.sub(rb"%[0-9A-F]{2}", lambda match: match.group().lower(), _url(text))


def _url_form(text: str) -> bytes:
    return quote_plus(_plain(text), safe="").encode()


def _base64(text: str, shift: int) -> tuple[bytes, int]:
    """The part of the base64 text that does not depend on what stands before and after, and what was skipped."""
    data = b"\0" * shift + _plain(text)
    skipped = math.ceil(shift * 8 / 6)
    return base64.b64encode(data)[skipped : len(data) * 8 // 6], skipped
