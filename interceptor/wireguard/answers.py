"""Which addresses a run was told for which names. Pure."""

from __future__ import annotations

from collections import OrderedDict

MAX_ADDRESSES = 4096
MAX_NAMES_EACH = 16


class Answers:
    """Address to the names it was given for, the newest last; the longest unused go first when
    there are too many.
    """

    def __init__(self) -> None:
        self._names: OrderedDict[str, list[str]] = OrderedDict()

    def add(self, name: str, address: str) -> None:
        """A lookup of `name` was answered with `address`."""
        names = self._names.setdefault(address, [])
        if name in names:
            names.remove(name)
        names.append(name)
        del names[:-MAX_NAMES_EACH]
        self._names.move_to_end(address)
        while len(self._names) > MAX_ADDRESSES:
            self._names.popitem(last=False)

    def names(self, address: str) -> tuple[str, ...]:
        """The names it was looked up under, the newest first."""
        found = self._names.get(address)
        if found is None:
            return ()
        self._names.move_to_end(address)
        return tuple(reversed(found))
