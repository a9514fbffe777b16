"""Caches of bodies stored lately: by the bytes that came, and by chain. Pure.

A running flow is recorded several times with the same bodies, and the next request of a
conversation repeats the one before.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

from flows.bodies.packed_body import PackedBody
from flows.bytes.digest import Digest
from flows.redaction.redactor import RedactedBody

CACHED_BYTES = 12 * 1024 * 1024
CACHED_BODIES = 1500
"""A small body takes as much memory beside its bytes, so their number is bounded too."""

PREDECESSORS_BYTES = 12 * 1024 * 1024
PREDECESSORS = 1000
"""Most of them are also bases of their chains or cached, and then take no memory of their own."""

_ENDS_BYTES = 512


@dataclass(frozen=True, slots=True)
class StoredBody:
    """A body without secrets, and how it is stored.

    `version`: of the secrets that were known when it was redacted.
    """

    body: RedactedBody
    packed: PackedBody
    version: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The body that the next ones of its chain are compared with, and its resumable digest."""

    stored: StoredBody
    digest: Digest

    @property
    def data(self) -> bytes:
        """Its bytes without secrets."""
        return self.stored.body.data

    @property
    def held_bytes(self) -> int:
        """Estimated memory: its bytes, those that came if they are others, and the digest."""
        came_bytes = 0
        search = self.stored.body.search
        if search is not None and search.data is not self.data:
            came_bytes = len(search.data)
        return len(self.data) + came_bytes + self.digest.held_bytes


@dataclass(slots=True)
class RecentBodies:
    """Stored bodies by the bytes that came and their content encoding. Not thread-safe."""

    max_bytes: int = CACHED_BYTES
    max_bodies: int = CACHED_BODIES
    _stored: OrderedDict[Hashable, tuple[bytes, StoredBody]] = field(default_factory=OrderedDict)
    _bytes: int = 0

    def get(self, data: bytes, content_encoding: str) -> StoredBody | None:
        """Return how these very bytes were stored."""
        key = _key(data, content_encoding)
        entry = self._stored.get(key)
        if entry is None:
            return None
        came, stored = entry
        if came != data:
            return None
        self._stored.move_to_end(key)
        return stored

    def put(self, data: bytes, content_encoding: str, stored: StoredBody) -> None:
        """Cache a body. Replaces an entry with the same length and the same ends."""
        key = _key(data, content_encoding)
        replaced = self._stored.pop(key, None)
        if replaced is not None:
            self._bytes -= _held_bytes(*replaced)
        self._stored[key] = (data, stored)
        self._bytes += _held_bytes(data, stored)
        while self._bytes > self.max_bytes or len(self._stored) > self.max_bodies:
            _, oldest = self._stored.popitem(last=False)
            self._bytes -= _held_bytes(*oldest)

    def clear(self) -> None:
        """Forget every body."""
        self._stored.clear()
        self._bytes = 0


@dataclass(slots=True)
class Predecessors:
    """The predecessor of each chain. Not thread-safe."""

    max_bytes: int = PREDECESSORS_BYTES
    max_count: int = PREDECESSORS
    _by_chain: OrderedDict[Hashable, Predecessor] = field(default_factory=OrderedDict)
    _bytes: int = 0

    def get(self, chain: Hashable) -> Predecessor | None:
        """Return the body to compare the next one of a chain with."""
        found = self._by_chain.get(chain)
        if found is not None:
            self._by_chain.move_to_end(chain)
        return found

    def put(self, chain: Hashable, predecessor: Predecessor) -> None:
        """Compare the next bodies of a chain with this one."""
        replaced = self._by_chain.pop(chain, None)
        if replaced is not None:
            self._bytes -= replaced.held_bytes
        self._by_chain[chain] = predecessor
        self._bytes += predecessor.held_bytes
        while self._bytes > self.max_bytes or len(self._by_chain) > self.max_count:
            _, oldest = self._by_chain.popitem(last=False)
            self._bytes -= oldest.held_bytes

    def clear(self) -> None:
        """Forget every chain."""
        self._by_chain.clear()
        self._bytes = 0


def _key(data: bytes, content_encoding: str) -> Hashable:
    """Return the length and both ends of a body.

    Hashing 1 MB takes longer than comparing it with the one body that may be equal.
    """
    return len(data), data[:_ENDS_BYTES], data[-_ENDS_BYTES:], content_encoding


def _held_bytes(came: bytes, stored: StoredBody) -> int:
    """Estimate the memory of an entry; a body without secrets is the object that came."""
    redacted = stored.body.data
    held_bytes = len(redacted) + len(stored.packed.blob)
    if redacted is not came:
        held_bytes += len(came)
    return held_bytes
