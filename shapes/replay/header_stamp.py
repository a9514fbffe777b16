"""Headers of a shaped request: the shape's in their order, with what must stay of the request.

Example, with `user-agent` preserved:

    request  user-agent: sdk/1     x-team: a      content-length: 9
    shape    anthropic-beta: b     user-agent: cli/2
    result   anthropic-beta: b     user-agent: sdk/1     content-length: 9
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from shapes.replay.content_injection import Origin
from shapes.replay.sensitive_headers import is_internal

Field = tuple[bytes, bytes]
Fields = tuple[Field, ...]

ALWAYS_KEPT: Final = frozenset(
    {
        "host",
        "content-length",
        "content-encoding",
        "transfer-encoding",
        "connection",
        "expect",
        "upgrade",
        "te",
        "trailer",
        # The client decodes the response.
        "accept-encoding",
    }
)
"""Headers about this connection and this body: they are the request's, whatever a profile says."""

LISTS: Final = frozenset({"anthropic-beta", "openai-beta"})
"""Headers whose value is a list of flags: a content field of the client may need its own flag."""


@dataclass(frozen=True, slots=True)
class Stamped:
    """Headers of a shaped request, the origin of each, and the request's names that it lacks."""

    fields: Fields
    origins: dict[str, Origin]
    dropped: tuple[str, ...]


def stamp(
    current: Fields,
    shape: Fields,
    *,
    preserved: frozenset[str],
    edits: Mapping[str, tuple[str, ...]],
) -> Stamped:
    """Return the shape's headers with those of the request that stay.

    Args:
        current: headers of the request, after the hooks that ran before.
        shape: headers of the shape, without those that its profile strips.
        preserved: names in lower case whose value stays the request's.
        edits: names in lower case that hooks or the provider's settings changed, with the values
            before. They stay as they are now.
    """
    now = values_by_name(current)
    ours = values_by_name(shape)
    fields: list[Field] = []
    origins: dict[str, Origin] = {}
    # Host stands first, as clients of HTTP/1.1 send it.
    host = [field for field in current if lower_name(field[0]) == "host"]
    seen: set[str] = set()
    for name, _ in [*host, *shape, *current]:
        key = lower_name(name)
        if key in seen:
            continue
        seen.add(key)
        values, origin = _values(key, now.get(key, ()), ours.get(key, ()), preserved, edits)
        if values:
            fields.extend((name, value) for value in values)
            origins[key] = origin
    dropped = tuple(key for key in now if key not in origins)
    return Stamped(tuple(fields), origins, dropped)


def _values(
    key: str,
    theirs: tuple[bytes, ...],
    ours: tuple[bytes, ...],
    preserved: frozenset[str],
    edits: Mapping[str, tuple[str, ...]],
) -> tuple[tuple[bytes, ...], Origin]:
    """Return the values of one header and their origin; no values leave it out."""
    if key in ALWAYS_KEPT or is_internal(key):
        return theirs, "client"
    # A flag of the client's stays: one of its content fields may need it.
    if key in LISTS and ours:
        return _merged_flags(theirs, ours, edits.get(key, ()))
    if key in edits or (key in preserved and theirs):
        return theirs, "client"
    return ours, "shape"


@lru_cache(maxsize=128)
def _merged_flags(
    theirs: tuple[bytes, ...], ours: tuple[bytes, ...], before: tuple[str, ...]
) -> tuple[tuple[bytes, ...], Origin]:
    """Return the shape's flags and the request's further ones, without those that a hook removed.

    Cached, because a client sends the same flags with every request.

    ours "a,b", theirs "c", before the hook "b,c" → "a,c".
    """
    asked = _flags(map(_text, theirs))
    removed = set(_flags(before)) - set(asked)
    flags = [flag for flag in _flags(map(_text, ours)) if flag not in removed]
    added = [flag for flag in asked if flag not in flags]
    # As the reference client joins them.
    separator = ", " if b", " in ours[0] else ","
    joined = separator.join([*flags, *added]).encode("utf-8", "surrogateescape")
    values = (joined,) if joined else ()
    return values, "both" if added else "shape"


def _flags(values: Iterable[str]) -> list[str]:
    parts = [part.strip() for value in values for part in value.split(",")]
    return list(dict.fromkeys(part for part in parts if part))


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


@lru_cache(maxsize=512)
def lower_name(name: bytes) -> str:
    """Return a header's name as text in lower case; clients send the same names again and again."""
    return _text(name).lower()


def values_by_name(fields: Fields) -> dict[str, tuple[bytes, ...]]:
    """Return the values of each header by its name in lower case, in their order."""
    found: dict[str, tuple[bytes, ...]] = {}
    for name, value in fields:
        key = lower_name(name)
        found[key] = (*found[key], value) if key in found else (value,)
    return found
