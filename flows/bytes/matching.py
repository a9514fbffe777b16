"""What a body has in common with an earlier one: the stretches of it that stand there too, in the
same order. Pure.

Agents send the conversation again and change little: a date near the beginning, a mark that moves,
one more message. So one stretch is looked for from the front, one from the back, and between them a
few more: some bytes beyond the place where the two part are looked up in the neighbourhood of that
place. Comparing goes at the speed of the memory, because `bytes.startswith` takes a view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

LEAST_BYTES = 32
"""Shorter stretches cost more to name than to repeat."""

MOST_STRETCHES = 12
_LEAST_FOUND_BYTES = 256
"""A shorter one, found by a probe, is more likely chance than the place where both go on
together.
"""
_PROBE_BYTES = 32
_PROBES_AHEAD = (32, 256, 2048, 8192)
_REACH_BYTES = 32 * 1024
"""How much farther on in the base a probe is looked for than in the body."""
_FIRST_STEP_BYTES = 1024
_STEP_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Stretch:
    """data[at : at + size] is base[base_at : base_at + size]."""

    at: int
    base_at: int
    size: int

    @property
    def end(self) -> int:
        return self.at + self.size

    @property
    def base_end(self) -> int:
        return self.base_at + self.size


@dataclass(frozen=True, slots=True)
class Shared:
    """The stretches that a body of `data_bytes` and `base` have, in order in both."""

    base: bytes
    data_bytes: int
    stretches: tuple[Stretch, ...]

    @property
    def new_bytes(self) -> int:
        """How many bytes of the body stand in none of them."""
        return self.data_bytes - sum(stretch.size for stretch in self.stretches)

    @property
    def prefix_bytes(self) -> int:
        """How far the body begins as the base does."""
        first = next(iter(self.stretches), None)
        return first.size if first and first.at == first.base_at == 0 else 0

    def moved(self, spans: Iterable[tuple[int, int]]) -> Iterator[int]:
        """Where those spans base[start:end] that stand in one stretch begin in the body."""
        for start, end in spans:
            for stretch in self.stretches:
                if stretch.base_at <= start and end <= stretch.base_end:
                    yield start - stretch.base_at + stretch.at

    def seams(self) -> list[tuple[int, int]]:
        """Where the data around and between the stretches begins and ends, also when two of them
        meet there.
        """
        ends = [Stretch(0, 0, 0), *self.stretches, Stretch(self.data_bytes, len(self.base), 0)]
        return [
            (before.end, after.at)
            for before, after in pairwise(ends)
            if (before.size and after.size)
            or (before.end, before.base_end) != (after.at, after.base_at)
        ]


def shared(data: bytes, base: bytes) -> Shared:
    """What both have: mostly one stretch at the front, one at the back, and some between."""
    view = memoryview(base)
    front = Stretch(0, 0, _ahead(data, 0, view, 0))
    back_size = _behind(data, len(data), view, len(base), min(len(data), len(base)) - front.size)
    back = Stretch(len(data) - back_size, len(base) - back_size, back_size)
    found = (front, *_between(data, base, front, back), back)
    return Shared(
        base, len(data), tuple(stretch for stretch in found if stretch.size >= LEAST_BYTES)
    )


def common_prefix(data: bytes, base: bytes) -> int:
    """How many bytes both begin with."""
    return len(data) if data is base else _ahead(data, 0, memoryview(base), 0)


def _between(data: bytes, base: bytes, front: Stretch, back: Stretch) -> Iterator[Stretch]:
    before = front
    for _ in range(MOST_STRETCHES):
        found = _next(data, base, before, back)
        if found is None:
            return
        yield found
        before = found


def _next(data: bytes, base: bytes, before: Stretch, back: Stretch) -> Stretch | None:
    """The next stretch between two; None when the probes find none."""
    if back.base_at - before.base_end < _LEAST_FOUND_BYTES:
        return None
    for ahead in _PROBES_AHEAD:
        at = before.end + ahead
        if at + _LEAST_FOUND_BYTES > back.at:
            break
        probe = data[at : at + _PROBE_BYTES]
        base_at = base.find(
            probe, before.base_end, min(back.base_at, before.base_end + ahead + _REACH_BYTES)
        )
        if base_at < 0:
            continue
        view = memoryview(base)
        left = _behind(data, at, view, base_at, min(ahead, base_at - before.base_end))
        right = _ahead(data, at, view, base_at, min(back.at - at, back.base_at - base_at))
        if left + right >= _LEAST_FOUND_BYTES:
            return Stretch(at - left, base_at - left, left + right)
    return None


def _ahead(data: bytes, at: int, base: memoryview, base_at: int, most: int | None = None) -> int:
    """How many bytes from here on are the same, `most` at most."""
    left = min(len(data) - at, len(base) - base_at) if most is None else most
    return _same(
        lambda start, end: data.startswith(base[base_at + start : base_at + end], at + start), left
    )


def _behind(data: bytes, end: int, base: memoryview, base_end: int, most: int) -> int:
    """How many bytes up to here are the same, `most` at most."""
    return _same(
        lambda start, stop: data.startswith(base[base_end - stop : base_end - start], end - stop),
        most,
    )


def _same(is_same: Callable[[int, int], bool], most: int) -> int:
    """How far all is the same, `most` at most.

    `is_same`: whether what is so far and so far away is.
    """
    same, step = 0, _FIRST_STEP_BYTES
    while same < most:
        step = min(step, most - same)
        if not is_same(same, same + step):
            break
        same, step = same + step, min(step * 4, _STEP_BYTES)
    differs = min(same + step, most)
    while differs - same > 1:
        middle = (same + differs) // 2
        if is_same(same, middle):
            same = middle
        else:
            differs = middle
    return same
