"""Encoding of records and deltas between processes of one ccproxy. Pure.

Both sides run the same code, so the encoding is `marshal`'s of tuples in the order of the classes'
fields. It is the fastest that keeps an object which several sides share (a body, headers) one
object, and that knows lone surrogates. Large bodies follow, each once:

    (digest of the fields' names, fields with indexes of large bodies, sizes of these) | body | body
"""

from __future__ import annotations

import marshal
from collections.abc import Callable
from dataclasses import fields
from hashlib import blake2b
from operator import attrgetter
from sys import intern
from typing import Any, Final, NamedTuple

from flows.record import (
    AttemptRecord,
    FlowDelta,
    FlowRecord,
    HookStep,
    SideRecord,
    WebSocketRecord,
)

STARTED: Final = 1
PROGRESS: Final = 2
FINISHED: Final = 3
DELTA: Final = 4
BODIES_DROPPED: Final = 0x80
"""Added to a record's kind when its bodies were left out for want of room."""

_LARGE_BYTES: Final = 4096
"""Bodies from this size follow the fields, so that they are copied once, into the ring."""

_Values = tuple[Any, ...]
_Payload = bytes | memoryview

_PARTS: Final[dict[str, tuple[type, tuple[str, ...]]]] = {
    "sides": (SideRecord, ("body",)),
    "hooks": (HookStep, ("body_before", "body_after")),
    "attempts": (AttemptRecord, ()),
    "messages": (WebSocketRecord, ("content",)),
}
"""Fields of a record that hold tuples of objects: their class, and its fields with bodies."""

_MEMBERS: Final = {"stage"}
"""Fields of these classes that may hold members of an enumeration, which `marshal` refuses."""


def _names(cls: Any) -> list[str]:
    return [field.name for field in fields(cls)]


def _layout() -> int:
    """Return a number that differs when the classes' fields do."""
    classes: list[Any] = [FlowRecord, FlowDelta]
    for cls, _ in _PARTS.values():
        classes.append(cls)
    text = ";".join(f"{cls.__name__}:{_names(cls)}" for cls in classes)
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest())


LAYOUT: Final = _layout()


class _Part(NamedTuple):
    """Encoding of one field of `_PARTS`."""

    field: int
    """The field's index among those of the record."""
    cls: type
    read: Callable[[Any], _Values]
    bodies: list[int]
    """Indexes of the fields with bodies among those of the class."""
    members: list[int]
    """Indexes of the fields that may hold members of an enumeration of strings."""


def _part(name: str) -> _Part:
    cls, bodies = _PARTS[name]
    names = _names(cls)
    return _Part(
        field=_names(FlowRecord).index(name),
        cls=cls,
        read=attrgetter(*names),
        bodies=[names.index(body) for body in bodies],
        members=[names.index(name) for name in names if name in _MEMBERS],
    )


_parts: Final = [_part(name) for name in _PARTS]
_record_fields: Final = attrgetter(*_names(FlowRecord))
_delta_fields: Final = attrgetter(*_names(FlowDelta))


class _Bodies:
    """Large bodies of a record that is encoded, each once."""

    def __init__(self) -> None:
        self.found: list[bytes] = []
        self._indexes: dict[int, int] = {}

    def taken_out(self, values: _Values, indexes: list[int]) -> _Values:
        """Return values with large bodies replaced by their indexes.

        ("client", 9000 bytes), indexes [1] → ("client", 0).
        """
        for index in indexes:
            body = values[index]
            if body is not None and len(body) >= _LARGE_BYTES:
                values = _replaced(values, index, self._index(body))
        return values

    def _index(self, body: bytes) -> int:
        # The record holds the objects, so no other one can get the same id.
        index = self._indexes.setdefault(id(body), len(self.found))
        if index == len(self.found):
            self.found.append(body)
        return index


def encode_record(record: FlowRecord) -> bytes:
    """Return the bytes of a record."""
    return b"".join(encode_parts(record))


def encode_parts(record: FlowRecord) -> list[bytes]:
    """Return the bytes of a record in parts: its fields, then the large bodies as they are."""
    values = list(_record_fields(record))
    bodies = _Bodies()
    for part in _parts:
        objects = values[part.field]
        if not objects:
            continue
        encoded: list[_Values] = []
        for item in objects:
            item_values = _without_members(part.read(item), part.members)
            encoded.append(bodies.taken_out(item_values, part.bodies))
        values[part.field] = encoded
    sizes = [len(body) for body in bodies.found]
    return [_dumps(values, sizes), *bodies.found]


def encode_delta(delta: FlowDelta) -> bytes:
    """Return the bytes of a delta."""
    return _dumps(_delta_fields(delta), [])


def decode(kind: int, payload: _Payload) -> FlowRecord | FlowDelta:
    """Return the record or delta of a frame.

    Raise ValueError for a damaged payload and for one of another version.
    """
    try:
        # The memory is shared by ccproxy's own processes alone. What follows is ignored.
        layout, values, sizes = marshal.loads(payload)  # noqa: S302
    except (EOFError, TypeError) as exc:
        raise ValueError("the record is damaged") from exc
    if layout != LAYOUT:
        raise ValueError("the record is of another version of ccproxy")
    if kind == DELTA:
        return FlowDelta(*values)
    bodies = _bodies_behind(payload, sizes)
    for part in _parts:
        encoded = values[part.field]
        if not encoded:
            continue
        objects: list[Any] = []
        for item in encoded:
            item_values = _put_in(item, part.bodies, bodies)
            objects.append(part.cls(*item_values))
        values[part.field] = tuple(objects)
    return FlowRecord(*values)


def _bodies_behind(payload: _Payload, sizes: list[int]) -> list[bytes]:
    """Return the last bytes of a payload, cut into bodies of these sizes."""
    bodies: list[bytes] = []
    start = len(payload) - sum(sizes)
    for size in sizes:
        end = start + size
        body = payload[start:end]
        bodies.append(bytes(body))
        start = end
    return bodies


def _put_in(values: _Values, indexes: list[int], bodies: list[bytes]) -> _Values:
    """Return values with their bodies instead of the bodies' indexes."""
    for index in indexes:
        body = values[index]
        if type(body) is int:
            values = _replaced(values, index, bodies[body])
    return values


def _without_members(values: _Values, indexes: list[int]) -> _Values:
    """Return values with members of an enumeration replaced by their strings.

    (Stage.INBOUND, "route"), indexes [0] → ("inbound", "route").
    """
    for index in indexes:
        text = values[index]
        if type(text) is not str:
            # Interned: `marshal` writes an object that comes again only once.
            values = _replaced(values, index, intern(str.__str__(text)))
    return values


def _replaced(values: _Values, index: int, value: Any) -> _Values:
    before = values[:index]
    behind = values[index + 1 :]
    return (*before, value, *behind)


def _dumps(values: Any, sizes: list[int]) -> bytes:
    try:
        return marshal.dumps((LAYOUT, values, sizes))
    except ValueError:
        # Subclasses of str and int: an enumeration's member, a string of a parser.
        return marshal.dumps((LAYOUT, _plain(values), sizes))


def _plain(value: Any) -> Any:
    """Return a value with subclasses of the basic types replaced by these. Raise TypeError."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, dict):
        keys = map(_plain, value.keys())
        items = map(_plain, value.values())
        return dict(zip(keys, items, strict=True))
    if isinstance(value, list):
        return list(map(_plain, value))
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    for cls in (str, bytes, int, float):
        if isinstance(value, cls):
            basic: Any = cls
            (same,) = basic.__getnewargs__(value)
            return same
    raise TypeError(f"a record holds a {type(value).__name__}")
