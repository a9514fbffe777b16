"""Forms of secrets: plain, in one case, escaped, URL-encoded, hex, base64 and others. Pure.

A form says which of its bytes a search has to look for: grams, of which a set knows every one, and
landmarks, of which every fragment that counts holds one.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, quote_plus

FRAGMENT_BYTES = 14
LONG_BYTES = 512
GRAM_BYTES = 8
_LONG_ENDS_BYTES = 128
_LONG_STRIDE = 9
_ALIGNMENTS = 4
"""Grams are read from positions that are multiples of four."""
_LONG_LANDMARK_STRIDE = 35
"""Finds fragments of 35 + 8 bytes in the middle of a long form."""

_PUBLIC_PREFIX = re.compile(
    r"(?:sk|pk|rk|gsk|xai|pplx|nvapi|hf)[-_]"
    r"(?:(?:ant|proj|svcacct|admin|or|lf)-)?(?:(?:oat|ort|api|sid|admin|v)\d+-)?"
    r"|AIza|ya29\.|1//|eyJ[\w-]+\."
)
_GO_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


@dataclass(frozen=True, slots=True)
class Form:
    """A secret in one encoding."""

    secret: str
    data: bytes
    private_from: int
    """Offset behind the public prefix."""
    width: int = 1
    """Bytes a character, for hex and the like: fragments are as many times longer."""

    @property
    def min_fragment_bytes(self) -> int:
        """Size from which a fragment counts; a form with a short private part counts complete."""
        size = len(self.data)
        fragment = FRAGMENT_BYTES * self.width
        private_bytes = size - self.private_from
        return fragment if private_bytes >= fragment else size

    @property
    def _counts_complete(self) -> bool:
        return self.min_fragment_bytes == len(self.data)

    def gram_offsets(self) -> Iterator[int]:
        """Yield the offsets of the eight bytes to remember."""
        last = len(self.data) - GRAM_BYTES
        first = self.private_from
        if self._counts_complete:
            yield from range(max(0, last) + 1)
        elif self.width > 1:
            yield from range(first, last + 1, self._gram_stride)
        elif len(self.data) <= LONG_BYTES:
            yield from range(first, last + 1)
        else:
            # All of the two ends, every ninth of the middle: a token of 2 KB takes 480 grams.
            middle = first + _LONG_ENDS_BYTES
            tail = max(middle, last - _LONG_ENDS_BYTES)
            yield from range(first, min(middle, last + 1))
            yield from range(middle, last - _LONG_ENDS_BYTES, _LONG_STRIDE)
            yield from range(tail, last + 1)

    @property
    def _gram_stride(self) -> int:
        """Odd, so that four neighbouring grams of a fragment start at every alignment.

        Hex: a fragment of 28 bytes holds 21 grams, of which multiples of five are at least four.
        """
        windows = FRAGMENT_BYTES * self.width - GRAM_BYTES + 1
        stride = windows // _ALIGNMENTS
        return stride if stride % 2 else stride - 1

    def landmarks(self) -> set[bytes]:
        """Return eight bytes each, at least one of which is in every fragment that counts.

        A fragment of 14 bytes has seven windows of eight bytes, so every seventh offset suffices.
        """
        offsets = self._landmark_offsets()
        return {self.data[offset : offset + GRAM_BYTES] for offset in offsets}

    def _landmark_offsets(self) -> Iterable[int]:
        if self._counts_complete:
            return (0,)
        last = max(0, len(self.data) - GRAM_BYTES)
        stride = self.min_fragment_bytes - GRAM_BYTES + 1
        regular = range(self.private_from, last + 1, stride)
        if self.width > 1 or len(self.data) <= LONG_BYTES:
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


def plain_forms(secret: str) -> list[Form]:
    """Return the plain and the JSON-escaped form."""
    return [Form(secret, data, 0) for data in {_plain(secret), _json(secret)}]


@lru_cache(maxsize=32)
def encoded_forms(secret: str) -> list[Form]:
    """Return every form. Cached: building a scanner anew asks for the same secrets."""
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
    wide: dict[bytes, Form] = {}
    for width, encode in _WIDE_ENCODINGS:
        form = Form(secret, encode(secret), len(encode(prefix)), width)
        wide.setdefault(form.data, form)
    return [*found, *wide.values()]


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


def _each(pattern: str) -> Callable[[str], bytes]:
    """Return an encoding that writes every byte the same way: "{:%%{:02x}}" and the like."""

    def encode(text: str) -> bytes:
        return "".join(pattern.format(byte) for byte in _plain(text)).encode()

    return encode


def _utf16(text: str) -> bytes:
    """Encode without the last byte: so it is within both orders, "a\0b" in "a\0b\0", "\0a\0b"."""
    return text.encode("utf-16-le", "surrogatepass")[:-1]


_WIDE_ENCODINGS: tuple[tuple[int, Callable[[str], bytes]], ...] = (
    (2, _hex),
    (2, _hex_upper),
    (2, _utf16),
    (3, _each("%{:02X}")),
    (3, _each("%{:02x}")),
    (6, _each("\\u{:04x}")),
    (6, _each("\\u{:04X}")),
    (4, _each("&#{};")),
    (4, _each("&#x{:x};")),
)
"""(Bytes a character at least, encoding) of encodings in which no character stands for itself."""
_TEXT_ENCODINGS: tuple[Callable[[str], bytes], ...] = (
    _plain,
    _json,
    _json_unicode,
    _json_slashes,
    _json_go,
    _url,
    _url_lower,
    _url_form,
    lambda text: _plain(text.lower()),
    lambda text: _plain(text.upper()),
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
