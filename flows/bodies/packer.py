"""Redacts and packs bodies, each with the help of the one before it in its conversation."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from flows.bodies.delta_chain import Base, Lanes, add_to
from flows.bodies.packed_body import PackedBody, pack
from flows.bodies.recent_bodies import Recent, Turn, Turns
from flows.bodies.recent_bodies import Stored as Stored
from flows.bytes.digest import Digest, digest_of, resumable
from flows.bytes.matching import Shared, common_prefix, shared
from flows.redaction.incremental_search import REPEATED_FROM_BYTES, Known, Searched
from flows.redaction.redactor import RedactedBody, Redactor


@dataclass(slots=True)
class Packer:
    """Not thread-safe. What is packed refers to bodies packed before; none is ever packed in two
    ways at once, so that no body can come to need itself.
    """

    redactor: Redactor
    _recent: Recent = field(default_factory=Recent)
    _turns: Turns = field(default_factory=Turns)
    _lanes: Lanes = field(default_factory=Lanes)
    _alive: WeakValueDictionary[str, PackedBody] = field(default_factory=WeakValueDictionary)
    _version: tuple[int, int] = (-1, -1)

    def store(
        self,
        data: bytes,
        content_encoding: str,
        *,
        near: Sequence[Stored] = (),
        lane: Hashable = None,
    ) -> Stored:
        """Redact and pack.

        `near`: bodies that this one may be a variant of. `lane`: what its predecessors went by.
        """
        self._forget_outdated()
        if (recent := self._recent.get(data, content_encoding)) is not None:
            return recent
        turn = self._turns.get(lane) if lane is not None else None
        earlier = turn.stored if turn else next(iter(near), None)
        known = (
            _known(data, earlier.body.searched)
            if earlier and len(data) >= REPEATED_FROM_BYTES
            else None
        )
        body = self.redactor.body(data, content_encoding, known)
        self._forget_outdated()  # this very body may have told another secret
        if content_encoding and not body.decoded:
            near, lane = (
                (),
                None,
            )  # compressed bytes have nothing in common with those of the turn before
        alike = (
            known.shared
            if known and not body.redacted and earlier and not earlier.body.redacted
            else None
        )
        digest = _digest(body.data, lane, turn, alike)
        stored = Stored(
            body, self._packed(body.data, digest.name, near, lane, alike), self._version
        )
        self._recent.put(data, content_encoding, stored)
        if lane is not None and len(body.data) >= REPEATED_FROM_BYTES:
            self._compare_next_with(Turn(stored, digest), lane)
        return stored

    def redacted(self, data: bytes, content_encoding: str) -> RedactedBody:
        """The body alone."""
        self._forget_outdated()
        recent = self._recent.get(data, content_encoding)
        return recent.body if recent else self.redactor.body(data, content_encoding)

    def _packed(
        self, data: bytes, digest: str, near: Sequence[Stored], lane: Hashable, alike: Shared | None
    ) -> PackedBody:
        if (alive := self._alive.get(digest)) is not None:
            return alive
        bases = (
            Base(stored.packed, stored.body.data)
            for stored in near
            if stored.version == self._version
        )
        packed = next(
            (found for base in bases if (found := add_to(base, digest, data, alike))), None
        )
        if packed is None:
            packed = (
                pack(data, digest) if lane is None else self._lanes.pack(lane, digest, data, alike)
            )
        self._alive[digest] = packed
        return packed

    def _compare_next_with(self, turn: Turn, lane: Hashable) -> None:
        """Those that build on one body of their lane are compared with that, so that one comparison
        does for both.
        """
        base = turn.stored.packed.base
        if base is None or base is not self._lanes.base(lane) or self._turns.get(lane) is None:
            self._turns.put(lane, turn)

    def _forget_outdated(self) -> None:
        """Begin anew when another secret became known: what was stored before may hold it, so
        nothing builds on it.
        """
        if self._version != self.redactor.version:
            self._recent.clear()
            self._turns.clear()
            self._lanes.clear()
            self._version = self.redactor.version


def _known(data: bytes, searched: Searched | None) -> Known | None:
    return Known(searched, shared(data, searched.data)) if searched else None


def _digest(data: bytes, lane: Hashable, turn: Turn | None, alike: Shared | None) -> Digest:
    """The name of a body. `alike`: what it shares with the turn, when that is known."""
    if lane is None or len(data) < REPEATED_FROM_BYTES:
        return Digest(digest_of(data))
    if turn is None:
        return resumable(data)
    return resumable(
        data, turn.digest, alike.prefix_bytes if alike else common_prefix(data, turn.data)
    )
