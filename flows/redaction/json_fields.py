"""Finds secrets by the name of the JSON field they stand in, in bodies and in lines of the log.
Pure.

Only a string value of a field that is really one is looked at. JSON inside a string (a message that
quotes some, a tool's arguments in OpenAI's formats) has escaped quotes and so is never mistaken for
a field, and a schema that describes a parameter called “token” has an object there. The search runs
in RE2, in one pass, whatever the body.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import re2

from flows.bytes.matching import Shared
from flows.redaction.scanner import Hit

MAX_VALUE_BYTES = 16 * 1024
"""What lies behind this much of one value is not looked for: the value is cut up to here."""


@dataclass(frozen=True, slots=True)
class FieldRule:
    """When a value under such a name is a secret."""

    least_chars: int = 8
    is_vague: bool = False
    """The name means other things too: the value must also have letters and digits."""


_PLAIN = FieldRule()
_VAGUE = FieldRule(least_chars=16, is_vague=True)

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
"""Names in words.

They are found in any case, joined by nothing, a dash or an underscore: apiKey, api-key, API_KEY.
"""

_NAMES = "|".join(
    name.replace(" ", "[-_]?") for name in sorted(SECRET_FIELDS, key=len, reverse=True)
)
_RULES = {name.replace(" ", ""): rule for name, rule in SECRET_FIELDS.items()}
_SCHEME = re.compile(r"(?i)(?:bearer|basic|token)\s+(?=\S)")
_OF_FIELDS = (string.ascii_letters + '-_":' + " \t\r\n").encode()
"""The bytes that a field's name and what leads to its value are made of."""
_STEP_BYTES = 256
_MOST_QUOTES = 64
"""After as many escaped ones it is cheaper to search."""
_MOST_VALUE_BYTES = 2 * MAX_VALUE_BYTES + 8
"""A value of nothing but escapes, and its quotes."""
_VALUE = re.compile(rb'(?:[^"\\]|\\.){0,%d}+' % MAX_VALUE_BYTES, re.DOTALL)
_LOGGED = re.compile(
    rf"""(?i)(?<![\w-])(?P<name>{_NAMES})(?P<between>["']?\s*[:=,]\s*b?["']?(?:(?:bearer|basic)\s+)?)(?P<value>[^\s"',;&)}}\]‹]{{8,}})"""
)


def _compiled() -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bodies are bytes of any kind
    options.case_sensitive = False
    return re2.compile(rf'"({_NAMES})"[ \t\r\n]*:[ \t\r\n]*"'.encode(), options)


_FIELD = _compiled()


@dataclass(frozen=True, slots=True)
class Field:
    """A secret's field. `at`: where its name begins; `hit`: its value."""

    at: int
    hit: Hit


def fields(data: bytes) -> list[Field]:
    """Every field of a secret in `data`, in order."""
    return list(_fields_between(data, 0, len(data)))


def fields_again(data: bytes, shared: Shared, before: Sequence[Field]) -> list[Field]:
    """The same for `data`, much of which stood in an earlier body with the fields `before`."""
    parts = list(_parts_near(data, shared.seams()))
    found = [field for start, end in parts for field in _fields_between(data, start, end)]
    for field in before:
        for at in shared.moved([(field.at, min(field.hit.end + 1, len(shared.base)))]):
            if not any(start <= at < end for start, end in parts):
                hit, by = field.hit, at - field.at
                found.append(Field(at, Hit(hit.start + by, hit.end + by, hit.secret)))
    return sorted(found, key=lambda field: field.at)


def _parts_near(data: bytes, seams: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The parts of the data in which other fields may be found than before, in order, not
    overlapping.

    No field's name and colon reach across a byte that such do not have, so that what is found
    between two of those does not depend on what stands beside.
    """
    done = 0
    for start, end in seams:
        start = max(done, _start_of_reaching(data, start))
        end = _end_of_field(data, end)
        if start < end:
            yield start, end
            done = end


def _fields_between(data: bytes, start: int, end: int) -> Iterator[Field]:
    """The fields whose name stands in data[start:end]."""
    for match in _FIELD.finditer(data, start, end):
        value = _VALUE.match(data, match.end())
        if value is None:
            continue
        text = _decoded(value.group())
        scheme = found.end() if (found := _SCHEME.match(text)) else 0
        if is_secret(match.group(1).decode("ascii"), text[scheme:]):
            yield Field(match.start(), Hit(value.start() + scheme, value.end(), text[scheme:]))


def _start_of_reaching(data: bytes, at: int) -> int:
    """Where the first field may begin whose value could reach `at`.

    A quote without a backslash before it ends every value that began before it, and no value begins
    with another one.
    """
    least = max(0, at - _MOST_VALUE_BYTES)
    quote = at
    for _ in range(_MOST_QUOTES):
        quote = data.rfind(b'"', least, quote)
        if quote < 0:
            return _start_of_field(data, at)
        if data[quote - 1 : quote] != b"\\":
            return _start_of_field(data, quote + 1)
    return _start_of_field(data, least)


def _start_of_field(data: bytes, at: int) -> int:
    """The last position up to `at` that no field goes across."""
    while at > 0:
        before = data[max(0, at - _STEP_BYTES) : at]
        inside = len(before) - len(before.rstrip(_OF_FIELDS))
        at -= inside
        if inside < len(before):
            break
    return at


def _end_of_field(data: bytes, at: int) -> int:
    """The first position from `at` on that no field goes across."""
    while at < len(data):
        after = data[at : at + _STEP_BYTES]
        inside = len(after) - len(after.lstrip(_OF_FIELDS))
        at += inside
        if inside < len(after):
            break
    return at


def is_secret(name: str, value: str) -> bool:
    """Whether `value`, standing in a field of this name, has to be taken for a secret."""
    rule = _RULES[re.sub("[-_]", "", name).lower()]
    if len(value) < rule.least_chars:
        return False
    if value.startswith("-----BEGIN "):
        return True
    if any(char.isspace() for char in value):
        return False  # a description, not a secret
    return not rule.is_vague or (any(map(str.isdigit, value)) and any(map(str.isalpha, value)))


def without_named(line: str, replace: Callable[[str], str]) -> str:
    """A line of the log with `replace(value)` in place of values that are named, in whatever
    notation.
    """

    def put(match: re.Match[str]) -> str:
        value = match["value"]
        return (
            match[0]
            if not is_secret(match["name"], value)
            else match["name"] + match["between"] + replace(value)
        )

    return _LOGGED.sub(put, line)


def _decoded(raw: bytes) -> str:
    try:
        return str(json.loads(b'"' + raw + b'"', strict=False))
    except ValueError:
        return raw.decode("utf-8", "surrogateescape")
