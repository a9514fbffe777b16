"""Segments of a ring's data, and which of them hold which positions. Pure.

Stretch n of the positions begins at n × the size of a segment. The producer takes a free segment
with a low number for each new stretch. So little traffic stays in a few warm segments, where a ring
that touches all memory in turn pays 0.4 ms a MB for new pages. When the consumer falls behind, all
segments are used. An example with four segments of 100 bytes:

    positions 800-899 are in segment 1 and 900-999 in segment 0: a frame of 950 to 1049 takes
    segment 2 for its second half; once 900 is committed, 1100-1199 may take segment 1
"""

from __future__ import annotations

from typing import Final

MAX_SEGMENTS: Final = 384
WARM_SEGMENTS: Final = frozenset(range(4))
"""Used in turn, so that most large frames lie in one stretch of memory. Never given back."""

_TABLE: Final = 64
"""The first of `MAX_SEGMENTS` words."""


class SegmentTable:
    """Segments by stretch of positions. The producer writes the table, both read it.

    Args:
        words: of the ring; it has the table from word 64.
        size_bytes: of a segment.
        capacity: bytes of all segments.
    """

    def __init__(self, words: memoryview[int], size_bytes: int, capacity: int) -> None:
        self.size_bytes = size_bytes
        self.count = capacity // size_bytes
        self._words = words
        self._all = frozenset(range(self.count))

    def __getitem__(self, stretch: int) -> int:
        row = stretch % self.count
        return self._words[_TABLE + row]

    def index(self, position: int) -> int:
        """Return the index in the data of a position."""
        stretch, offset = divmod(position, self.size_bytes)
        start = self[stretch] * self.size_bytes
        return start + offset

    def room(self, position: int) -> int:
        """Return the bytes from a position to the end of its segment."""
        used = position % self.size_bytes
        return self.size_bytes - used

    def is_next(self, stretch: int) -> bool:
        """Return whether a stretch lies in memory behind the one before it."""
        before = self[stretch - 1]
        return self[stretch] == before + 1

    def stretches(self, start: int, end: int) -> range:
        """Return the stretches that begin at or behind `start` and before `end`.

        Segments of 100: 950, 1101 → stretches 10 and 11; 1000, 1100 → 10; 950, 1000 → none.
        """
        first = self._first_from(start)
        return range(first, self._first_from(end))

    def held(self, committed: int, written: int) -> set[int]:
        """Return the segments that hold these positions, or a part of them."""
        first = committed // self.size_bytes
        behind = self._first_from(written)
        return set(map(self.__getitem__, range(first, behind)))

    def limit(self, committed: int) -> int:
        """Return the position that cannot be passed before more is committed."""
        first = committed // self.size_bytes
        behind = first + self.count
        return behind * self.size_bytes

    def take(self, stretch: int, committed: int) -> int:
        """Choose a free segment for a stretch: the warm one that follows, or the lowest."""
        start = stretch * self.size_bytes
        held = self.held(committed, start)
        before = self[stretch - 1]
        chosen = before + 1
        free = self._all - held
        if chosen not in free or chosen not in WARM_SEGMENTS:
            chosen = min(free)
        row = stretch % self.count
        self._words[_TABLE + row] = chosen
        return chosen

    def _first_from(self, position: int) -> int:
        """Return the first stretch that begins at or behind a position."""
        last_byte = position + self.size_bytes - 1
        return last_byte // self.size_bytes
