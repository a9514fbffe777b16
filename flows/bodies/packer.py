"""Redaction and packing of bodies, helped by the one before in the conversation. Pure.

For the next request of a conversation the bodies are compared once. The result serves three times:
the search for secrets is restricted to what differs, hashing goes on behind the common prefix, and
the body is packed as what it adds.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from flows.bodies.delta_chain import Base, DeltaChains, pack_onto
from flows.bodies.packed_body import PackedBody, pack
from flows.bodies.recent_bodies import Predecessor, Predecessors, RecentBodies
from flows.bodies.recent_bodies import StoredBody as StoredBody
from flows.bytes.digest import Digest, digest_of, resumable_digest
from flows.bytes.matching import Matching, common_prefix, match_bodies
from flows.redaction.incremental_search import REUSE_FROM_BYTES, EarlierSearch
from flows.redaction.redactor import RedactedBody, Redactor


@dataclass(slots=True)
class Packer:
    """Packer of one writer. Not thread-safe.

    A body is packed in one way as long as anything refers to it, so that no body can come to need
    itself as a base.
    """

    redactor: Redactor
    recent: RecentBodies = field(default_factory=RecentBodies)
    predecessors: Predecessors = field(default_factory=Predecessors)
    chains: DeltaChains = field(default_factory=DeltaChains)
    _alive: WeakValueDictionary[str, PackedBody] = field(default_factory=WeakValueDictionary)
    _version: tuple[int, int] = (-1, -1)

    def store(
        self,
        data: bytes,
        content_encoding: str,
        *,
        variants: Sequence[StoredBody] = (),
        chain: Hashable = None,
    ) -> StoredBody:
        """Redact and pack a body.

        `variants`: bodies of the same flow that it may differ little from. `chain`: key of the
        conversation's bodies in the same role; None for a body that repeats no other.
        """
        self._forget_outdated()
        recent = self.recent.get(data, content_encoding)
        if recent is not None:
            return recent
        predecessor = self.predecessors.get(chain) if chain is not None else None
        compared_with = _compared_with(predecessor, variants)
        earlier = _compare(data, compared_with)
        body = self.redactor.body(data, content_encoding, earlier)
        # This very body may have revealed another secret.
        self._forget_outdated()
        if content_encoding and not body.decoded:
            # Compressed bytes have nothing in common with those of the request before.
            variants, chain = (), None
        matching: Matching | None = None
        if earlier and compared_with and not body.redacted and not compared_with.body.redacted:
            matching = earlier.matching
        digest = _digest(body.data, chain, predecessor, matching)
        packed = self._pack(body.data, digest.hex, variants, chain, matching)
        stored = StoredBody(body, packed, self._version)
        self.recent.put(data, content_encoding, stored)
        if chain is not None and len(body.data) >= REUSE_FROM_BYTES:
            self._compare_next_with(Predecessor(stored, digest), chain)
        return stored

    def redacted(self, data: bytes, content_encoding: str) -> RedactedBody:
        """Return the redacted body, without packing it."""
        self._forget_outdated()
        recent = self.recent.get(data, content_encoding)
        if recent is not None:
            return recent.body
        return self.redactor.body(data, content_encoding)

    def _pack(
        self,
        data: bytes,
        digest: str,
        variants: Sequence[StoredBody],
        chain: Hashable,
        matching: Matching | None,
    ) -> PackedBody:
        alive = self._alive.get(digest)
        if alive is not None:
            return alive
        packed = self._pack_as_variant(data, digest, variants, matching)
        if packed is None and chain is not None:
            packed = self.chains.pack(chain, digest, data, matching)
        if packed is None:
            packed = pack(data, digest)
        self._alive[digest] = packed
        return packed

    def _pack_as_variant(
        self,
        data: bytes,
        digest: str,
        variants: Sequence[StoredBody],
        matching: Matching | None,
    ) -> PackedBody | None:
        for variant in variants:
            # One from before another secret was known may hold it.
            if variant.version != self._version:
                continue
            base = Base(variant.packed, variant.body.data)
            packed = pack_onto(base, digest, data, matching)
            if packed is not None:
                return packed
        return None

    def _compare_next_with(self, predecessor: Predecessor, chain: Hashable) -> None:
        """Keep the predecessor that is also the chain's base: one comparison then does for both."""
        base = predecessor.stored.packed.base
        is_on_chain = base is not None and base is self.chains.base(chain)
        has_predecessor = self.predecessors.get(chain) is not None
        if not (is_on_chain and has_predecessor):
            self.predecessors.put(chain, predecessor)

    def _forget_outdated(self) -> None:
        """Start anew when another secret became known.

        What was stored before may hold it, so nothing may be packed against that.
        """
        version = self.redactor.version
        if self._version != version:
            self.recent.clear()
            self.predecessors.clear()
            self.chains.clear()
            self._version = version


def _compared_with(
    predecessor: Predecessor | None, variants: Sequence[StoredBody]
) -> StoredBody | None:
    if predecessor is not None:
        return predecessor.stored
    return variants[0] if variants else None


def _compare(data: bytes, stored: StoredBody | None) -> EarlierSearch | None:
    """Compare a body with an earlier one; None when its search would not gain from it."""
    if stored is None or len(data) < REUSE_FROM_BYTES:
        return None
    search = stored.body.search
    if search is None:
        return None
    return EarlierSearch(search, match_bodies(data, search.data))


def _digest(
    data: bytes, chain: Hashable, predecessor: Predecessor | None, matching: Matching | None
) -> Digest:
    """Return the digest of a body. `matching`: what it shares with its predecessor, if known."""
    if chain is None or len(data) < REUSE_FROM_BYTES:
        return Digest(digest_of(data))
    if predecessor is None:
        return resumable_digest(data)
    if matching is not None:
        same_bytes = matching.prefix_bytes
    else:
        same_bytes = common_prefix(data, predecessor.data)
    return resumable_digest(data, predecessor.digest, same_bytes)
