"""Postings of trigrams: which of a segment's flows contain each. Pure.

A segment has up to `SEGMENT_FLOWS` flows, by position. Its trigrams are divided by a hash into
`SHELVES` shelves, each stored as one compressed text, so that a search reads only the shelves of
its own trigrams. A shelf is

    number of trigrams (4 bytes), size of the names (4 bytes),
    the trigrams one after the other (UTF-8), the size of each posting (a byte each), postings

A posting of up to 127 bytes lists distances: positions 2, 5 and 300 → 2, 2, 255, 40. (255 stands
for 254 flows without the trigram.) A longer one would list most flows: it is a bitmap instead, of
128 bytes, in which bit n stands for position n.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final
from zlib import crc32

from flows.bytes.zstd import compress, decompress
from flows.search.folding import TRIGRAM_CHARS

SEGMENT_FLOWS: Final = 1024
SHELVES: Final = 128
_BITMAP_BYTES: Final = SEGMENT_FLOWS // 8
_SKIP: Final = 255
_SKIPPED: Final = 254
_MAX_SHELF_BYTES: Final = 64 * 1024 * 1024
_HEADER: Final = struct.Struct(">II")


def shelf_of(trigram: str) -> int:
    """Return the number of the shelf of a trigram."""
    return crc32(trigram.encode()) % SHELVES


class Postings:
    """Postings of a segment while it is built. Positions are added in rising order."""

    def __init__(self) -> None:
        self._positions: defaultdict[str, list[int]] = defaultdict(list)

    def add(self, position: int, trigrams: Iterable[str]) -> None:
        """Add the trigrams of the flow at a position."""
        positions = self._positions
        for trigram in trigrams:
            positions[trigram].append(position)

    def shelves(self) -> list[bytes]:
        """Return the shelves in order."""
        names: list[list[str]] = [[] for _ in range(SHELVES)]
        for trigram in self._positions:
            names[shelf_of(trigram)].append(trigram)
        return [self._shelf(sorted(trigrams)) for trigrams in names]

    def _shelf(self, trigrams: Sequence[str]) -> bytes:
        postings = [_pack(self._positions[trigram]) for trigram in trigrams]
        sizes = bytes(map(len, postings))
        joined = "".join(trigrams).encode()
        header = _HEADER.pack(len(trigrams), len(joined))
        return compress(b"".join((header, joined, sizes, *postings)))


class Shelf:
    """A shelf that was read."""

    def __init__(self, stored: bytes) -> None:
        plain = decompress(stored, _MAX_SHELF_BYTES)
        count, names_bytes = _HEADER.unpack_from(plain)
        names_end = _HEADER.size + names_bytes
        self._names = plain[_HEADER.size : names_end].decode()
        self._sizes = plain[names_end : names_end + count]
        self._plain = plain
        self._start = names_end + count

    def flows_with(self, trigram: str) -> int:
        """Return the positions of the flows with a trigram, as bits."""
        found = self._names.find(trigram)
        # Between two trigrams stands another one by chance: "abc", "dab" have "cda" in them.
        while found >= 0 and found % TRIGRAM_CHARS:
            found = self._names.find(trigram, found + 1)
        if found < 0:
            return 0
        index = found // TRIGRAM_CHARS
        start = self._start + sum(self._sizes[:index])
        return _unpack(self._plain[start : start + self._sizes[index]])


def _pack(positions: Sequence[int]) -> bytes:
    distances = bytearray()
    if len(positions) < _BITMAP_BYTES:
        for before, position in pairwise((-1, *positions)):
            skips, distance = divmod(position - before - 1, _SKIPPED)
            distances += b"\xff" * skips
            distances.append(distance)
        if len(distances) < _BITMAP_BYTES:
            return bytes(distances)
    bits = 0
    for position in positions:
        bits |= 1 << position
    return bits.to_bytes(_BITMAP_BYTES, "little")


def _unpack(packed: bytes) -> int:
    if len(packed) == _BITMAP_BYTES:
        return int.from_bytes(packed, "little")
    bits = 0
    position = -1
    for distance in packed:
        if distance == _SKIP:
            position += _SKIPPED
        else:
            position += distance + 1
            bits |= 1 << position
    return bits


def positions_in(bits: int) -> list[int]:
    """Return the positions that bits stand for, in rising order: 0b101 → 0, 2."""
    found: list[int] = []
    while bits:
        lowest = bits & -bits
        found.append(lowest.bit_length() - 1)
        bits ^= lowest
    return found
