"""Blocks of bytes that a body has in common with an earlier one, in the same order. Pure.

Agents send the conversation again and change little: a date near the beginning, a cache mark that
moves, one more message. So one block is searched from the front, one from the back, and up to
`MAX_PROBED_BLOCKS` between them. For these, some bytes from beyond the first difference are looked
up in the base: where a probe is found, both bodies go on together.

    base:   {"date":"27"} AAAA "mark" BBBB ]
    data:   {"date":"28"} AAAA BBBB, new ]
    blocks: `{"date":"2` (front), `"} AAAA ` and `BBBB` (probed), ` ]` (back)

`bytes.startswith` takes a view, so that comparing runs at the speed of memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

MIN_BLOCK_BYTES = 32
"""Shorter blocks cost more to name than to repeat."""

MAX_PROBED_BLOCKS = 12
_MIN_PROBED_BYTES = 256
"""A shorter block found by a probe is more likely chance than a common continuation."""
_PROBE_BYTES = 32
_PROBES_AHEAD = (32, 256, 2048, 8192)
_REACH_BYTES = 32 * 1024
"""A probe is searched this much farther ahead in the base than in the body."""
_FIRST_STEP_BYTES = 1024
_MAX_STEP_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Block:
    """data[start : start + size] equals base[base_start : base_start + size]."""

    start: int
    base_start: int
    size: int

    @property
    def end(self) -> int:
        return self.start + self.size

    @property
    def base_end(self) -> int:
        return self.base_start + self.size


@dataclass(frozen=True, slots=True)
class Matching:
    """The blocks that `base` and a body of `data_bytes` bytes share, in order in both."""

    base: bytes
    data_bytes: int
    blocks: tuple[Block, ...]

    @property
    def new_bytes(self) -> int:
        """Bytes of the body that lie in no block."""
        return self.data_bytes - sum(block.size for block in self.blocks)

    @property
    def prefix_bytes(self) -> int:
        """Size of the common beginning; 0 when it is shorter than a block."""
        if not self.blocks:
            return 0
        first = self.blocks[0]
        is_at_front = first.start == first.base_start == 0
        return first.size if is_at_front else 0

    def map_spans(self, spans: Iterable[tuple[int, int]]) -> Iterator[int]:
        """Yield the start in the body of each span base[start:end] that lies within one block."""
        for start, end in spans:
            for block in self.blocks:
                if block.base_start <= start and end <= block.base_end:
                    yield start - block.base_start + block.start

    def gaps(self) -> list[tuple[int, int]]:
        """Return the parts data[start:end] before, between and behind the blocks.

        A part is empty where two blocks meet: bytes that were apart in the base are neighbours.
        """
        front = Block(0, 0, 0)
        back = Block(self.data_bytes, len(self.base), 0)
        found: list[tuple[int, int]] = []
        for before, after in pairwise((front, *self.blocks, back)):
            # The two ends of the body are no blocks: nothing meets there.
            are_blocks = before.size > 0 and after.size > 0
            is_new = before.end != after.start
            is_removed = before.base_end != after.base_start
            if are_blocks or is_new or is_removed:
                found.append((before.end, after.start))
        return found


def match_bodies(data: bytes, base: bytes) -> Matching:
    """Return what `data` and `base` share, blocks of `MIN_BLOCK_BYTES` or more."""
    view = memoryview(base)
    data_bytes = len(data)
    base_bytes = len(base)
    shorter_bytes = min(data_bytes, base_bytes)
    front_bytes = _equal_ahead(data, 0, view, 0, shorter_bytes)
    front = Block(0, 0, front_bytes)
    # The two must not overlap in the shorter body.
    back_limit = shorter_bytes - front_bytes
    back_bytes = _equal_behind(data, data_bytes, view, base_bytes, back_limit)
    back = Block(data_bytes - back_bytes, base_bytes - back_bytes, back_bytes)
    blocks: list[Block] = []
    for block in (front, *_probed_blocks(data, base, front, back), back):
        if block.size >= MIN_BLOCK_BYTES:
            blocks.append(block)
    return Matching(base, data_bytes, tuple(blocks))


def common_prefix(data: bytes, base: bytes) -> int:
    """Return how many bytes both begin with."""
    if data is base:
        return len(data)
    return _equal_ahead(data, 0, memoryview(base), 0, min(len(data), len(base)))


def _probed_blocks(data: bytes, base: bytes, front: Block, back: Block) -> Iterator[Block]:
    before = front
    for _ in range(MAX_PROBED_BLOCKS):
        found = _probe(data, base, before, back)
        if found is None:
            return
        yield found
        before = found


def _probe(data: bytes, base: bytes, before: Block, back: Block) -> Block | None:
    """Return the next block between two others; None when no probe finds one."""
    if back.base_start - before.base_end < _MIN_PROBED_BYTES:
        return None
    view = memoryview(base)
    for ahead in _PROBES_AHEAD:
        start = before.end + ahead
        if start + _MIN_PROBED_BYTES > back.start:
            return None
        probe = data[start : start + _PROBE_BYTES]
        search_end = min(back.base_start, before.base_end + ahead + _REACH_BYTES)
        base_start = base.find(probe, before.base_end, search_end)
        if base_start < 0:
            continue
        # The probe lies somewhere inside the block: grow it to both sides.
        left_limit = min(ahead, base_start - before.base_end)
        right_limit = min(back.start - start, back.base_start - base_start)
        left = _equal_behind(data, start, view, base_start, left_limit)
        right = _equal_ahead(data, start, view, base_start, right_limit)
        if left + right >= _MIN_PROBED_BYTES:
            return Block(start - left, base_start - left, left + right)
    return None


def _equal_ahead(data: bytes, start: int, base: memoryview, base_start: int, limit: int) -> int:
    """Return how many bytes from here on are equal, at most `limit`."""

    def is_equal(near: int, far: int) -> bool:
        expected = base[base_start + near : base_start + far]
        return data.startswith(expected, start + near)

    return _longest_equal(is_equal, limit)


def _equal_behind(data: bytes, end: int, base: memoryview, base_end: int, limit: int) -> int:
    """Return how many bytes up to here are equal, at most `limit`."""

    def is_equal(near: int, far: int) -> bool:
        expected = base[base_end - far : base_end - near]
        return data.startswith(expected, end - far)

    return _longest_equal(is_equal, limit)


def _longest_equal(is_equal: Callable[[int, int], bool], limit: int) -> int:
    """Return the distance up to which everything is equal, at most `limit`.

    `is_equal(near, far)` compares the bytes between two distances. The distance grows in steps of
    1 KB, 4 KB, … 256 KB; the step that differs is then bisected.
    """
    equal = 0
    step = _FIRST_STEP_BYTES
    while equal < limit:
        step = min(step, limit - equal)
        if not is_equal(equal, equal + step):
            break
        equal += step
        step = min(step * 4, _MAX_STEP_BYTES)
    different = min(equal + step, limit)
    while different - equal > 1:
        middle = (equal + different) // 2
        if is_equal(equal, middle):
            equal = middle
        else:
            different = middle
    return equal
