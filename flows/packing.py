"""Redacts and packs bodies; remembers the last ones, because a running flow hands over the same ones again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from flows.lanes import Base, Lanes, add_to
from flows.packed import PackedBody, digest_of, pack
from flows.redact import RedactedBody, Redactor

CACHED_BYTES = 16 * 1024 * 1024
CACHED_BODIES = 2000
"""A small body costs as much memory beside its bytes: without this bound memory would grow for 10,000 flows."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A body without secrets, and how it is stored. `version`: of the secrets that were known then."""

    body: RedactedBody
    packed: PackedBody
    version: tuple[int, int]


@dataclass(slots=True)
class Packer:
    """Not thread-safe. What is packed refers to bodies packed before; none is ever packed in two ways at once, so that
    no body can come to need itself."""

    redactor: Redactor
    _recent: OrderedDict[tuple[bytes, str], Stored] = field(default_factory=OrderedDict)
    """By the body as it came and its encoding: Python remembers the hash of bytes, and most sides are one object."""
    _recent_bytes: int = 0
    _lanes: Lanes = field(default_factory=Lanes)
    _alive: WeakValueDictionary[str, PackedBody] = field(default_factory=WeakValueDictionary)
    _version: tuple[int, int] = (-1, -1)

    def store(
        self, data: bytes, content_encoding: str, *, near: Sequence[Stored] = (), lane: Hashable = None
    ) -> Stored:
        """Redact and pack. `near`: bodies that this one may be a variant of. `lane`: what its predecessors went by."""
        key = data, content_encoding
        self._forget_outdated()
        if (known := self._recent.get(key)) is not None:
            self._recent.move_to_end(key)
            return known
        body = self.redactor.body(data, content_encoding)
        self._forget_outdated()  # this very body may have told another secret
        if content_encoding and not body.decoded:
            near, lane = (), None  # compressed bytes have nothing in common with those of the turn before
        stored = Stored(body, self._packed(body.data, near, lane), self._version)
        self._recent[key] = stored
        self._recent_bytes += _cost(key, stored)
        while self._recent_bytes > CACHED_BYTES or len(self._recent) > CACHED_BODIES:
            self._recent_bytes -= _cost(*self._recent.popitem(last=False))
        return stored

    def redacted(self, data: bytes, content_encoding: str) -> RedactedBody:
        """The body alone."""
        self._forget_outdated()
        known = self._recent.get((data, content_encoding))
        return known.body if known else self.redactor.body(data, content_encoding)

    def _packed(self, data: bytes, near: Sequence[Stored], lane: Hashable) -> PackedBody:
        digest = digest_of(data)
        if (known := self._alive.get(digest)) is not None:
            return known
        bases = (Base(stored.packed, stored.body.data) for stored in near if stored.version == self._version)
        packed = next((found for base in bases if (found := add_to(base, digest, data))), None)
        if packed is None:
            packed = pack(data, digest) if lane is None else self._lanes.pack(lane, digest, data)
        self._alive[digest] = packed
        return packed

    def _forget_outdated(self) -> None:
        """Begin anew when another secret became known: what was stored before may hold it, so nothing builds on it."""
        if self._version != self.redactor.version:
            self._recent.clear()
            self._recent_bytes = 0
            self._lanes.clear()
            self._version = self.redactor.version


def _cost(key: tuple[bytes, str], stored: Stored) -> int:
    """About how much memory an entry holds; a body without secrets is the object that came."""
    data = stored.body.data
    return len(data) + (0 if data is key[0] else len(key[0])) + len(stored.packed.blob)
