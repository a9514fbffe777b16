"""The bodies stored lately: by what came, because a running flow hands over the same ones again,
and by lane. Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

from flows.bodies.packed_body import PackedBody
from flows.bytes.digest import Digest
from flows.redaction.redactor import RedactedBody

CACHED_BYTES = 16 * 1024 * 1024
CACHED_BODIES = 2000
"""A small body costs as much memory beside its bytes: without this bound memory would grow for
10,000 flows.
"""

TURN_BYTES = 16 * 1024 * 1024
TURNS = 1000
"""Most of them are what their lane builds on, or among the bodies cached, and then take no more
memory than that.
"""

_ENDS_BYTES = 512


@dataclass(frozen=True, slots=True)
class Stored:
    """A body without secrets, and how it is stored.

    `version`: of the secrets that were known then.
    """

    body: RedactedBody
    packed: PackedBody
    version: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Turn:
    """The body of a lane that the next ones are compared with, and how far its digest had come
    where.
    """

    stored: Stored
    digest: Digest

    @property
    def data(self) -> bytes:
        """Its bytes without secrets."""
        return self.stored.body.data

    @property
    def held_bytes(self) -> int:
        searched = self.stored.body.searched
        came_bytes = len(searched.data) if searched and searched.data is not self.data else 0
        return len(self.data) + came_bytes + self.digest.held_bytes


@dataclass(slots=True)
class Recent:
    """Stored bodies by the bytes that came and their encoding. Not thread-safe."""

    _stored: OrderedDict[Hashable, tuple[bytes, Stored]] = field(default_factory=OrderedDict)
    _bytes: int = 0

    def get(self, data: bytes, content_encoding: str) -> Stored | None:
        """How these very bytes were stored."""
        key = _key(data, content_encoding)
        came, stored = self._stored.get(key, (None, None))
        if came != data:
            return None
        self._stored.move_to_end(key)
        return stored

    def put(self, data: bytes, content_encoding: str, stored: Stored) -> None:
        """Remember a body, in the place of another one that looks like it from outside."""
        key = _key(data, content_encoding)
        self._bytes += _cost(data, stored) - (
            _cost(*self._stored.pop(key)) if key in self._stored else 0
        )
        self._stored[key] = data, stored
        while self._bytes > CACHED_BYTES or len(self._stored) > CACHED_BODIES:
            self._bytes -= _cost(*self._stored.popitem(last=False)[1])

    def clear(self) -> None:
        """Forget every body."""
        self._stored.clear()
        self._bytes = 0


@dataclass(slots=True)
class Turns:
    """The body of each lane that the next ones are compared with. Not thread-safe."""

    _turns: OrderedDict[Hashable, Turn] = field(default_factory=OrderedDict)
    _bytes: int = 0

    def get(self, lane: Hashable) -> Turn | None:
        """The body to compare the next one of a lane with."""
        turn = self._turns.get(lane)
        if turn is not None:
            self._turns.move_to_end(lane)
        return turn

    def put(self, lane: Hashable, turn: Turn) -> None:
        """Compare the next ones of a lane with another body."""
        before = self._turns.pop(lane, None)
        self._turns[lane] = turn
        self._bytes += turn.held_bytes - (before.held_bytes if before else 0)
        while self._bytes > TURN_BYTES or len(self._turns) > TURNS:
            self._bytes -= self._turns.popitem(last=False)[1].held_bytes

    def clear(self) -> None:
        """Forget every lane."""
        self._turns.clear()
        self._bytes = 0


def _key(data: bytes, content_encoding: str) -> Hashable:
    """The hash of 1 MB would take longer than comparing it with the one body that may be the
    same.
    """
    return len(data), data[:_ENDS_BYTES], data[-_ENDS_BYTES:], content_encoding


def _cost(data: bytes, stored: Stored) -> int:
    """About how much memory an entry holds; a body without secrets is the object that came."""
    kept = stored.body.data
    return len(kept) + (0 if kept is data else len(data)) + len(stored.packed.blob)
