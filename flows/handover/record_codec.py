"""Encoding of records and deltas between processes of one ccproxy. Pure.

Both sides run the same code, so the encoding is `marshal`'s of tuples in the order of the classes'
fields. It is the fastest that keeps an object which several sides share (a body, headers) one
object, and that knows lone surrogates. Each payload begins with a digest of the fields' names.
"""

from __future__ import annotations

import marshal
from collections.abc import Buffer, Callable
from dataclasses import fields
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Final

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

_PARTS: Final[dict[str, type]] = {
    "sides": SideRecord,
    "hooks": HookStep,
    "attempts": AttemptRecord,
    "messages": WebSocketRecord,
}
"""Fields of a record that hold tuples of objects, with their class."""


def _names(cls: Any) -> list[str]:
    return [field.name for field in fields(cls)]


def _reader(cls: Any) -> Callable[[Any], tuple[Any, ...]]:
    """Return a function from an object to the tuple of its fields."""
    return attrgetter(*_names(cls))


def _layout() -> int:
    """Return a number that differs when the classes' fields do."""
    text = ""
    for cls in (FlowRecord, FlowDelta, *_PARTS.values()):
        text += f"{cls.__name__}:{','.join(_names(cls))};"
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest())


LAYOUT: Final = _layout()
_record_fields = _reader(FlowRecord)
_delta_fields = _reader(FlowDelta)
_part_fields: Final = [
    (_names(FlowRecord).index(name), cls, _reader(cls)) for name, cls in _PARTS.items()
]
"""Index in the record's tuple, class, and reader of each field of `_PARTS`."""


def encode_record(record: FlowRecord) -> bytes:
    """Return the bytes of a record."""
    values = list(_record_fields(record))
    for index, _, read in _part_fields:
        if values[index]:
            values[index] = tuple(map(read, values[index]))
    return _dumps(values)


def encode_delta(delta: FlowDelta) -> bytes:
    """Return the bytes of a delta."""
    return _dumps(_delta_fields(delta))


def decode(kind: int, payload: Buffer) -> FlowRecord | FlowDelta:
    """Return the record or delta of a frame. Raise ValueError for bytes of another version."""
    # The memory is shared by ccproxy's own processes alone.
    layout, values = marshal.loads(payload)  # noqa: S302
    if layout != LAYOUT:
        raise ValueError("the record is of another version of ccproxy")
    if kind == DELTA:
        return FlowDelta(*values)
    for index, cls, _ in _part_fields:
        if values[index]:
            values[index] = tuple([cls(*part) for part in values[index]])
    return FlowRecord(*values)


def _dumps(values: Any) -> bytes:
    try:
        return marshal.dumps((LAYOUT, values))
    except ValueError:
        # Subclasses of str and int: an enumeration's member, a string of a parser.
        return marshal.dumps((LAYOUT, _plain(values)))


def _plain(value: Any) -> Any:
    """Return a value with subclasses of the basic types replaced by these. Raise TypeError."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, tuple):
        return tuple([_plain(item) for item in value])
    for cls in (str, bytes, int, float):
        if isinstance(value, cls):
            basic: Any = cls
            return basic.__getnewargs__(value)[0]
    raise TypeError(f"a record holds a {type(value).__name__}")
