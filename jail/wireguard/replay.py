"""Replay window: a packet's counter is accepted once, in any order within the window."""

from __future__ import annotations

WINDOW = 8192


class ReplayWindow:
    """Window that stores the gaps, not the counters seen. Packets in order cost one comparison.

    accept 0, 1, 4 → missing {2, 3}; accept 3 → missing {2}; accept 3 again → False
    """

    __slots__ = ("_missing", "next")

    def __init__(self) -> None:
        self.next = 0
        self._missing: set[int] = set()

    def accept(self, counter: int) -> bool:
        """Return True once per counter.

        False for a repeated one, and for one that is WINDOW or more behind the newest. Only
        counters of authentic packets may be asked about: each one moves the window.
        """
        expected = self.next
        if counter == expected:
            self.next = expected + 1
            return True
        oldest = max(expected, counter + 1) - WINDOW
        if counter > expected:
            self._missing.update(range(max(expected, oldest), counter))
            self.next = counter + 1
            if len(self._missing) > WINDOW:
                self._missing = {missing for missing in self._missing if missing >= oldest}
            return True
        if counter < oldest or counter not in self._missing:
            return False
        self._missing.remove(counter)
        return True
