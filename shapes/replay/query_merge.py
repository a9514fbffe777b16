"""Query of a shaped request: the request's own, and the shape's fields that it lacks."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

_CREDENTIALS: Final = frozenset({"key", "api_key", "api-key", "access_token", "token"})


@lru_cache(maxsize=64)
def shape_fields(query: str) -> tuple[str, ...]:
    """Return the fields of a shape's query, without credentials.

    "beta=true&key=1" → ("beta=true",). Cached, because a shape has the same query every time.
    """
    # A shape that was imported may still have a key in its address.
    fields = (field for field in query.removeprefix("?").split("&") if field)
    return tuple(field for field in fields if _name(field).lower() not in _CREDENTIALS)


def merge_query(path: str, fields: tuple[str, ...]) -> str:
    """Return a path with those of the shape's query fields that it lacks.

    "/a?b=1", ("b=2", "c=2") → "/a?b=1&c=2".
    """
    bare, _, query = path.partition("?")
    own = [field for field in query.split("&") if field]
    names = {_name(field) for field in own}
    added = [field for field in fields if _name(field) not in names]
    if not added:
        return path
    return f"{bare}?{'&'.join([*own, *added])}"


def _name(field: str) -> str:
    return field.partition("=")[0]
