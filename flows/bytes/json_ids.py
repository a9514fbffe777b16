"""Values of the fields of JSON that hold ids, without parsing it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_NAME_END: Final = b'id"'


class IdFields:
    """Fields with one of these names, all of which end with "id".

    The pattern begins with bytes that are the same for all names. Those are found four to eight
    times as fast as each name is tried behind each quote, of which a stream has thousands.

    Args:
        names: the fields' names.
        value: pattern of the bytes that a value consists of.
    """

    def __init__(self, *names: str, value: bytes) -> None:
        self._value = re.compile(rb'%b ?: ?"(%b)"' % (_NAME_END, value))
        self._names = tuple(f'"{name}"'.encode() for name in names)

    def find(self, data: bytes) -> Iterator[bytes]:
        """Yield the values in order: `{"call_id": "toolu_01", "valid": "no"}` → `toolu_01`."""
        for found in self._value.finditer(data):
            name_end = found.start() + len(_NAME_END)
            if data.endswith(self._names, 0, name_end):
                yield found[1]
