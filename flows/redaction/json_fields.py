"""Secrets known by the name of their JSON field, in bodies and in lines of the log. Pure.

Only a string value of a real field counts. JSON inside a string (a quoted message, a tool's
arguments in OpenAI's formats) has escaped quotes, and the schema of a parameter called "token" has
an object there, so neither is mistaken for a field. RE2 finds the names in one pass.

    {"api_key": "Vq7-canary-4f1c", "note": "say \\"token\\": \\"x\\""}
      the value of api_key is a hit; the quoted token is not
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import re2

from flows.bytes.matching import Matching
from flows.redaction.scanner import Hit

MAX_VALUE_BYTES = 16 * 1024
"""The end of a longer value is not searched; it is cut up to here."""


@dataclass(frozen=True, slots=True)
class FieldRule:
    """Condition under which a value in a field of such a name is a secret."""

    min_chars: int = 8
    is_vague: bool = False
    """The name has other meanings: the value must also hold letters and digits."""


_PLAIN = FieldRule()
_VAGUE = FieldRule(min_chars=16, is_vague=True)

SECRET_FIELDS: dict[str, FieldRule] = {
    "api key": _PLAIN,
    "x api key": _PLAIN,
    "x goog api key": _PLAIN,
    "apikey": _PLAIN,
    "access token": _PLAIN,
    "refresh token": _PLAIN,
    "id token": _PLAIN,
    "auth token": _PLAIN,
    "bearer token": _PLAIN,
    "session token": _PLAIN,
    "security token": _PLAIN,
    "oauth token": _PLAIN,
    "authorization token": _PLAIN,
    "authorization": _PLAIN,
    "proxy authorization": _PLAIN,
    "client secret": _PLAIN,
    "client assertion": _PLAIN,
    "code verifier": _PLAIN,
    "secret key": _PLAIN,
    "secret access key": _PLAIN,
    "aws secret access key": _PLAIN,
    "private key": _PLAIN,
    "password": _PLAIN,
    "passwd": _PLAIN,
    "passphrase": _PLAIN,
    "token": _VAGUE,
    "secret": _VAGUE,
    "credential": _VAGUE,
}
"""Names in words, found in any case and joined by nothing, a dash or an underscore.

"api key" stands for apiKey, api-key, API_KEY.
"""

# The longest first, so that "secret access key" is not found as "secret".
_LONGEST_FIRST = sorted(SECRET_FIELDS, key=len, reverse=True)
_NAMES = "|".join(name.replace(" ", "[-_]?") for name in _LONGEST_FIRST)
_RULES = {name.replace(" ", ""): rule for name, rule in SECRET_FIELDS.items()}
_SCHEME = re.compile(r"(?i)(?:bearer|basic|token)\s+(?=\S)")
_FIELD_BYTES = (string.ascii_letters + '-_":' + " \t\r\n").encode()
"""Bytes that a field's name, its colon and the blanks around may consist of."""
_STEP_BYTES = 256
_MAX_QUOTES = 64
"""Behind as many escaped quotes, searching is cheaper than looking for an unescaped one."""
_LONGEST_VALUE_BYTES = 2 * MAX_VALUE_BYTES + 8
"""A value of nothing but escapes, and its quotes."""
_VALUE = re.compile(rb'(?:[^"\\]|\\.){0,%d}+' % MAX_VALUE_BYTES, re.DOTALL)
_LOGGED = re.compile(
    rf"""(?i)(?<![\w-])(?P<name>{_NAMES})"""
    r"""(?P<between>["']?\s*[:=,]\s*b?["']?(?:(?:bearer|basic)\s+)?)"""
    r"""(?P<value>[^\s"',;&)}\]‹]{8,})"""
)


FIELD_PATTERN = rf'"({_NAMES})"[ \t\r\n]*:[ \t\r\n]*"'.encode()
"""RE2 pattern, to be matched in any case, of a field's name up to the quote of its value."""


def _compiled() -> Any:
    options = re2.Options()
    # Bodies are bytes of any kind.
    options.encoding = re2.Options.Encoding.LATIN1
    options.case_sensitive = False
    return re2.compile(FIELD_PATTERN, options)


_FIELD = _compiled()


@dataclass(frozen=True, slots=True)
class Field:
    """A secret's field: the position of its name's quote, and its value."""

    start: int
    hit: Hit


def find_fields(data: bytes, start: int = 0, end: int | None = None) -> list[Field]:
    """Return the fields of secrets whose name lies in data[start:end], in order."""
    end = len(data) if end is None else end
    found: list[Field] = []
    for match in _FIELD.finditer(data, start, end):
        value = _VALUE.match(data, match.end())
        if value is None:
            continue
        text = _decode_string(value.group())
        scheme = _SCHEME.match(text)
        scheme_chars = scheme.end() if scheme else 0
        secret = text[scheme_chars:]
        if is_secret(match.group(1).decode("ascii"), secret):
            hit = Hit(value.start() + scheme_chars, value.end(), secret)
            found.append(Field(match.start(), hit))
    return found


def update_fields(data: bytes, matching: Matching, earlier: Sequence[Field]) -> list[Field]:
    """Return `find_fields(data)`, given the fields of the base of `matching`.

    Only the neighbourhood of the gaps is searched. Fields of the base are taken over when they lie
    in one block with the byte behind them, and moved by as much as the block has moved.
    """
    parts = list(_parts_near(data, matching.gaps()))
    found: list[Field] = []
    for start, end in parts:
        found += find_fields(data, start, end)
    for field in earlier:
        span = (field.start, min(field.hit.end + 1, len(matching.base)))
        for position in matching.map_spans([span]):
            if not _is_within(position, parts):
                found.append(_moved(field, position))
    return sorted(found, key=lambda field: field.start)


def _is_within(position: int, parts: Iterable[tuple[int, int]]) -> bool:
    return any(start <= position < end for start, end in parts)


def _moved(field: Field, position: int) -> Field:
    distance = position - field.start
    hit = field.hit
    return Field(position, Hit(hit.start + distance, hit.end + distance, hit.secret))


def _parts_near(data: bytes, gaps: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the parts of the data in which other fields may be found than before.

    In order, not overlapping. A field's name and colon consist of `_FIELD_BYTES` alone, so a field
    never reaches across any other byte: what lies between two such bytes is found independently of
    its neighbours.
    """
    done = 0
    for gap_start, gap_end in gaps:
        start = max(done, _start_of_reaching(data, gap_start))
        end = _end_of_field(data, gap_end)
        if start < end:
            yield start, end
            done = end


def _start_of_reaching(data: bytes, position: int) -> int:
    """Return where the first field may begin whose value could reach `position`.

    An unescaped quote ends every value that began before it, and no value begins with a quote.
    """
    first = max(0, position - _LONGEST_VALUE_BYTES)
    quote = position
    for _ in range(_MAX_QUOTES):
        quote = data.rfind(b'"', first, quote)
        if quote < 0:
            return _start_of_field(data, position)
        is_escaped = data[quote - 1 : quote] == b"\\"
        if not is_escaped:
            return _start_of_field(data, quote + 1)
    return _start_of_field(data, first)


def _start_of_field(data: bytes, position: int) -> int:
    """Return the last position up to `position` that no field reaches across."""
    while position > 0:
        before = data[max(0, position - _STEP_BYTES) : position]
        field_bytes = len(before) - len(before.rstrip(_FIELD_BYTES))
        position -= field_bytes
        if field_bytes < len(before):
            break
    return position


def _end_of_field(data: bytes, position: int) -> int:
    """Return the first position from `position` on that no field reaches across."""
    while position < len(data):
        after = data[position : position + _STEP_BYTES]
        field_bytes = len(after) - len(after.lstrip(_FIELD_BYTES))
        position += field_bytes
        if field_bytes < len(after):
            break
    return position


def is_secret(name: str, value: str) -> bool:
    """Check whether `value`, in a field of this name, has to be taken for a secret."""
    rule = _RULES[re.sub("[-_]", "", name).lower()]
    if len(value) < rule.min_chars:
        return False
    if value.startswith("-----BEGIN "):
        return True
    # Words are a description: "api_key": "The key of the service".
    if any(char.isspace() for char in value):
        return False
    if not rule.is_vague:
        return True
    return any(map(str.isdigit, value)) and any(map(str.isalpha, value))


def replace_named(line: str, replace: Callable[[str], str]) -> str:
    """Return a line of the log with `replace(value)` instead of each named secret's value.

    Finds fields in any notation: `api_key=…`, `'x-api-key': '…'`, `authorization: Bearer …`.
    """

    def replaced(match: re.Match[str]) -> str:
        name, between, value = match["name"], match["between"], match["value"]
        if not is_secret(name, value):
            return match[0]
        return name + between + replace(value)

    return _LOGGED.sub(replaced, line)


def _decode_string(raw: bytes) -> str:
    try:
        return str(json.loads(b'"' + raw + b'"', strict=False))
    except ValueError:
        return raw.decode("utf-8", "surrogateescape")
