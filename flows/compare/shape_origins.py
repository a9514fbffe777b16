"""Origins of the parts of a request that took a shape, for the page of one hook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_WORDS: Final = {
    "client": "from the client",
    "shape": "from the shape",
    "both": "from the shape and the client",
    "dropped": "not sent",
}


@dataclass(frozen=True, slots=True)
class PartOrigin:
    """A header or a field of the body. `kind` is client, shape, both, dropped or made."""

    name: str
    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class ShapeOrigins:
    """Origins of all headers and of all top-level fields, each in their order."""

    headers: list[PartOrigin]
    fields: list[PartOrigin]


def shape_origins(origins: Sequence[Sequence[str]]) -> ShapeOrigins | None:
    """Return the origins that a trace has, or None for a hook that is no shape.

    `["header:x-app", "shape"]` → x-app “from the shape”; `["body:system", "caching.insert"]` →
    system “made by caching.insert”.
    """
    if not origins:
        return None
    found = ShapeOrigins([], [])
    for part, origin in origins:
        place, _, name = part.partition(":")
        words = _WORDS.get(origin)
        row = PartOrigin(name, origin if words else "made", words or f"made by {origin}")
        rows = found.headers if place == "header" else found.fields
        rows.append(row)
    return found
