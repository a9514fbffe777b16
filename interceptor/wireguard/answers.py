"""Memory of a run's name look-ups, by address. Pure."""

from __future__ import annotations

from collections import OrderedDict

MAX_ADDRESSES = 4096
MAX_NAMES_EACH = 16


class Answers:
    """Addresses and the names that were looked up, the newest last.

    Above `MAX_ADDRESSES` the one that was not used for the longest time is dropped.
    """

    def __init__(self) -> None:
        self._names: OrderedDict[str, list[str]] = OrderedDict()

    def add(self, name: str, address: str) -> None:
        """Note that a look-up of `name` was answered with `address`."""
        # An address is shared by many names (CDNs), and the newest is the most likely one.
        names = self._names.setdefault(address, [])
        if name in names:
            names.remove(name)
        names.append(name)
        del names[:-MAX_NAMES_EACH]
        self._names.move_to_end(address)
        while len(self._names) > MAX_ADDRESSES:
            self._names.popitem(last=False)

    def names(self, address: str) -> tuple[str, ...]:
        """Return the names an address was looked up under, the newest first."""
        found = self._names.get(address)
        if found is None:
            return ()
        self._names.move_to_end(address)
        return tuple(reversed(found))
