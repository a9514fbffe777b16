"""Typed reading of foreign JSON. Each error names the position."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, overload

from providers.base.errors import MalformedBody
from providers.wire.core.ir import JsonObject

_KINDS: dict[type, str] = {
    type(None): "null",
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "a number",
}


_MAX_DIGITS: Final = 18
"""Digits of a number in text, which then fits into 64 bits."""
_FEW: Final = 16
"""Entries of an array that are looked at one by one in no time."""


def _refuse(path: str, wanted: str, value: Any) -> MalformedBody:
    found = _KINDS.get(type(value), "a number")
    return MalformedBody(f"{path} must be {wanted}, not {found}.")


def read_each[T](
    entries: Sequence[JsonObject], path: str, read: Callable[[JsonObject], T]
) -> list[T]:
    """Read the entries of an array; the error of one has its position before its own.

    Long histories have thousands of entries, so a position is only composed for an error.

        ".role must be user" of the fourth of "messages" → "messages[3].role must be user"
    """
    found: list[T] = []
    try:
        for entry in entries:
            found.append(read(entry))
    except MalformedBody as error:
        text = str(error)
        gap = "" if text.startswith((".", "[")) else "."
        raise MalformedBody(f"{path}[{len(found)}]{gap}{text}") from error
    return found


def an_object(value: Any, path: str) -> JsonObject:
    """Require an object."""
    if isinstance(value, dict):
        return value
    raise _refuse(path, "an object", value)


def objects(value: Any, path: str) -> list[JsonObject]:
    """Require an array of objects."""
    if not isinstance(value, list):
        raise _refuse(path, "an array", value)
    size = len(value)
    # A chunk of a stream has one entry, a history has thousands.
    if size == 1 and type(value[0]) is dict:
        return value
    if size > _FEW and set(map(type, value)) == {dict}:
        return value
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            raise _refuse(f"{path}[{index}]", "an object", item)
    return value


def a_string(value: Any, path: str) -> str:
    """Require a string."""
    if isinstance(value, str):
        return value
    raise _refuse(path, "a string", value)


def string_in(body: JsonObject, key: str, path: str) -> str:
    """Require a string field. The position is only composed for an error."""
    value = body.get(key)
    if isinstance(value, str):
        return value
    raise _refuse(f"{path}.{key}", "a string", value)


def text_in(body: JsonObject, key: str, path: str) -> str:
    """Return a string field, empty if it is missing or null."""
    value = body.get(key) or ""
    return value if isinstance(value, str) else a_string(value, f"{path}.{key}")


def object_in(body: JsonObject, key: str, path: str) -> JsonObject:
    """Return an object field, empty if it is missing or null."""
    value = body.get(key) or {}
    return value if isinstance(value, dict) else an_object(value, f"{path}.{key}")


def id_in(body: JsonObject, key: str, path: str) -> str:
    """Return the id of a tool call as text; "" if it is missing. Some clients count in numbers."""
    value = body.get(key)
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return "" if value is None else a_string(value, f"{path}.{key}")


def maybe_string(body: JsonObject, key: str) -> str | None:
    """Return a string field, or None if it is missing or null."""
    value = body.get(key)
    return None if value is None else a_string(value, key)


def maybe_number(body: JsonObject, key: str) -> float | None:
    """Return a number field, or None if it is missing or null."""
    value = body.get(key)
    if value is None:
        return None
    # In Python, true and false are integers.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refuse(key, "a number", value)
    return value


def maybe_int(body: JsonObject, key: str) -> int | None:
    """Return an integer field, or None if it is missing or null."""
    value = maybe_number(body, key)
    if value is None:
        return None
    # JavaScript clients send 1024.0 for 1024; NaN and infinity have no integer.
    if not math.isfinite(value) or int(value) != value:
        raise MalformedBody(f"{key} must be a whole number.")
    return int(value)


def maybe_bool(body: JsonObject, key: str) -> bool | None:
    """Return a boolean field, or None if it is missing or null."""
    value = body.get(key)
    if value is None or isinstance(value, bool):
        return value
    raise _refuse(key, "a boolean", value)


def maybe_object(body: JsonObject, key: str) -> JsonObject | None:
    """Return an object field, or None if it is missing or null."""
    value = body.get(key)
    return None if value is None else an_object(value, key)


def strings(value: Any, path: str) -> list[str]:
    """Return a string or an array of strings as a list; empty for null."""
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise _refuse(path, "a string or an array of strings", value)


def without(body: JsonObject, known: frozenset[str]) -> JsonObject | None:
    """Return the unknown fields that are not null, or None if there are none."""
    # The usual case, without building anything.
    if body.keys() <= known:
        return None
    unknown = {key: value for key, value in body.items() if key not in known and value is not None}
    return unknown or None


@overload
def count(value: int) -> int: ...
@overload
def count(value: object) -> int | None: ...
def count(value: object) -> int | None:
    """Return a provider's token count or time stamp; None for what is no number.

    Servers in Lua or JavaScript write 12.0, and protobuf's JSON writes 64-bit integers as text.

        12 → 12, 12.0 → 12, 1700000000.25 → 1700000000, "12" → 12, True → None
    """
    if type(value) is int:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return int(value)
    # `isdecimal` alone takes digits of all scripts.
    if isinstance(value, str) and len(value) <= _MAX_DIGITS and value.isdecimal():
        return int(value) if value.isascii() else None
    return None


def plain_text(part: JsonObject, kind: str) -> str | None:
    """Return the text of a part that has nothing else, as most parts of a history.

    ({"type": "text", "text": "a"}, "text") → "a"
    """
    if len(part) == 2 and part.get("type") == kind and type(text := part.get("text")) is str:
        return text
    return None


def drop_none(body: JsonObject) -> JsonObject:
    """Return the object without its null fields."""
    return {key: value for key, value in body.items() if value is not None}


def name_of(value: Any) -> str | None:
    """Return a response's id or model as text; None for what is no name.

    Some servers number their responses: 17 → "17".
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None
