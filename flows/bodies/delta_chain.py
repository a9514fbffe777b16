"""Which earlier body a body is stored as an addition to. Pure;
docs/decisions/004-bodies-as-deltas.md says why.

The bodies of one conversation form a lane: a first one stored whole, some that build on it, and
most of them on the newest of those. So a body is read in three steps, and a lane that grows evenly
costs a small multiple of what its turns added. What a turn adds decides when to build anew, not a
number of turns.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

from flows.bodies.packed_body import PackedBody, pack, pack_over
from flows.bytes.matching import Shared

HELD_BYTES = 32 * 1024 * 1024
"""Bodies kept in memory to build on; the lanes not used for the longest time are forgotten
first.
"""

HELD_LANES = 1000
"""Conversations of one short question each: their bytes alone would let 16,000 of them stay, with
twice that beside.
"""

MIN_BYTES = 1024
"""Smaller bodies are stored alone."""

_MIN_STEP_BYTES = 2048
"""Additions of this much together are not yet worth a new body to build on."""


@dataclass(frozen=True, slots=True)
class Base:
    """A body that others may build on, and its bytes."""

    packed: PackedBody
    data: bytes


def add_to(base: Base, digest: str, data: bytes, known: Shared | None = None) -> PackedBody | None:
    """`data` as an addition to `base`; None when that saves less than half of what it needs alone.

    `known`: what `data` shares with some earlier body, which is of use when that is the base.
    """
    if len(data) < MIN_BYTES or len(base.data) < MIN_BYTES or digest == base.packed.digest:
        return None
    encoding, blob = pack_over(
        data, base.data, known if known and known.base is base.data else None
    )
    whole = next(reversed([base.packed, *base.packed.bases()]))
    alone_bytes = len(data) * len(whole.blob) / whole.size_bytes
    return (
        PackedBody(digest, encoding, len(data), blob, base.packed)
        if 2 * len(blob) <= alone_bytes
        else None
    )


@dataclass(slots=True)
class _Lane:
    """The body stored whole, the newest one that builds on it, and what was added to each since."""

    whole: Base
    middle: Base | None = None
    middles_bytes: int = 0
    leaves_bytes: int = 0

    @property
    def held_bytes(self) -> int:
        return len(self.whole.data) + (len(self.middle.data) if self.middle else 0)

    def add(self, digest: str, data: bytes, known: Shared | None) -> PackedBody | None:
        """Pack the next body; None when the lane has to begin anew with it."""
        leaf = add_to(self.middle or self.whole, digest, data, known)
        if leaf is None:
            return None
        step_bytes = max(_MIN_STEP_BYTES, len(self.middle.packed.blob) if self.middle else 0)
        if self.leaves_bytes + len(leaf.blob) <= step_bytes:
            self.leaves_bytes += len(leaf.blob)
            return leaf
        middle = add_to(self.whole, digest, data, known) if self.middle else leaf
        if middle is None or self.middles_bytes + len(middle.blob) > len(self.whole.packed.blob):
            return None
        self.middle = Base(middle, data)
        self.middles_bytes += len(middle.blob)
        self.leaves_bytes = 0
        return middle


@dataclass(slots=True)
class Lanes:
    """The lanes in use, by whatever names them. Not thread-safe."""

    _lanes: OrderedDict[Hashable, _Lane] = field(default_factory=OrderedDict)
    _held_bytes: int = 0

    def base(self, key: Hashable) -> PackedBody | None:
        """What the next body of a lane will build on."""
        lane = self._lanes.get(key)
        return (lane.middle or lane.whole).packed if lane else None

    def pack(
        self, key: Hashable, digest: str, data: bytes, known: Shared | None = None
    ) -> PackedBody:
        """Pack the next body of a lane. `known`: what it shares with some earlier body."""
        if len(data) < MIN_BYTES:
            return pack(data, digest)
        lane = self._lanes.pop(key, None)
        self._held_bytes -= lane.held_bytes if lane else 0
        packed = lane.add(digest, data, known) if lane else None
        if lane is None or packed is None:
            packed = pack(data, digest)
            lane = _Lane(Base(packed, data))
        self._lanes[key] = lane
        self._held_bytes += lane.held_bytes
        while self._held_bytes > HELD_BYTES or len(self._lanes) > HELD_LANES:
            self._held_bytes -= self._lanes.popitem(last=False)[1].held_bytes
        return packed

    def clear(self) -> None:
        """Forget every lane."""
        self._lanes.clear()
        self._held_bytes = 0
