"""Choice of the earlier body that a body is packed against. Pure.

The bodies of one conversation form a chain of three levels: a root that is stored complete, nodes
packed against the root, and leaves packed against the newest node. So reading a body takes three
steps at most, and an evenly growing chain costs a small multiple of what its requests add.

    requests      1      2      3      4      5      6 ...
    stored as     root   node   leaf   leaf   node   leaf
    against       -      root   2      2      root   5

Sizes decide, not counts: once the leaves cost as much as their node did, the next body becomes a
node; once the nodes cost as much as the root, a root. docs/decisions/004-bodies-as-deltas.md has
the reasons.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

from flows.bodies.packed_body import PackedBody, pack, pack_against
from flows.bytes.matching import Matching

HELD_BYTES = 20 * 1024 * 1024
"""Bodies kept in memory as bases; the chain unused for the longest time is forgotten first."""

HELD_CHAINS = 1000
"""Bounds conversations of one short question each, of which 10,000 would fit into `HELD_BYTES`."""

MIN_BYTES = 1024
"""Smaller bodies are stored alone."""

_MIN_LEAVES_BYTES = 2048
"""Leaves of this size together are not yet worth a new node."""


@dataclass(frozen=True, slots=True)
class Base:
    """A packed body that others may be packed against, and its bytes."""

    packed: PackedBody
    data: bytes


def pack_onto(
    base: Base, digest: str, data: bytes, matching: Matching | None = None
) -> PackedBody | None:
    """Pack `data` against `base`; None when that saves less than half of what it needs alone.

    `matching`: what `data` shares with an earlier body; used if that is the base.
    """
    if len(data) < MIN_BYTES or len(base.data) < MIN_BYTES or digest == base.packed.digest:
        return None
    if matching is not None and matching.base is not base.data:
        matching = None
    encoding, blob = pack_against(data, base.data, matching)
    alone_bytes = _estimated_alone_bytes(base.packed, len(data))
    # A body that hardly profits would only lengthen the chain.
    if 2 * len(blob) > alone_bytes:
        return None
    return PackedBody(digest, encoding, len(data), blob, base.packed)


def _estimated_alone_bytes(base: PackedBody, size_bytes: int) -> float:
    """Estimate the packed size of a body from the ratio of its chain's root."""
    root = base
    while root.base is not None:
        root = root.base
    return size_bytes * len(root.blob) / root.size_bytes


@dataclass(slots=True)
class _Chain:
    """The root, the newest node, and the packed sizes of what was added to each."""

    root: Base
    node: Base | None = None
    nodes_bytes: int = 0
    leaves_bytes: int = 0

    @property
    def base(self) -> Base:
        """The body that the next one is packed against."""
        return self.node or self.root

    @property
    def held_bytes(self) -> int:
        node_bytes = len(self.node.data) if self.node else 0
        return len(self.root.data) + node_bytes

    def add(self, digest: str, data: bytes, matching: Matching | None) -> PackedBody | None:
        """Pack the next body; None when it has to become a root."""
        leaf = pack_onto(self.base, digest, data, matching)
        if leaf is None:
            return None
        node_bytes = len(self.node.packed.blob) if self.node else 0
        leaves_bytes = self.leaves_bytes + len(leaf.blob)
        if leaves_bytes <= max(_MIN_LEAVES_BYTES, node_bytes):
            self.leaves_bytes = leaves_bytes
            return leaf
        # Without a node, the leaf is packed against the root already.
        node = pack_onto(self.root, digest, data, matching) if self.node else leaf
        if node is None or self.nodes_bytes + len(node.blob) > len(self.root.packed.blob):
            return None
        self.node = Base(node, data)
        self.nodes_bytes += len(node.blob)
        self.leaves_bytes = 0
        return node


@dataclass(slots=True)
class DeltaChains:
    """Chains in use, by a key of the caller. Not thread-safe."""

    max_bytes: int = HELD_BYTES
    max_chains: int = HELD_CHAINS
    _chains: OrderedDict[Hashable, _Chain] = field(default_factory=OrderedDict)
    _held_bytes: int = 0

    def base(self, key: Hashable) -> PackedBody | None:
        """Return what the next body of a chain is packed against; None without a chain."""
        chain = self._chains.get(key)
        return chain.base.packed if chain else None

    def pack(
        self, key: Hashable, digest: str, data: bytes, matching: Matching | None = None
    ) -> PackedBody:
        """Pack the next body of a chain. `matching`: what it shares with an earlier body."""
        if len(data) < MIN_BYTES:
            return pack(data, digest)
        packed: PackedBody | None = None
        chain = self._chains.pop(key, None)
        if chain is not None:
            self._held_bytes -= chain.held_bytes
            packed = chain.add(digest, data, matching)
        if chain is None or packed is None:
            packed = pack(data, digest)
            chain = _Chain(Base(packed, data))
        self._chains[key] = chain
        self._held_bytes += chain.held_bytes
        self._forget_oldest()
        return packed

    def clear(self) -> None:
        """Forget every chain."""
        self._chains.clear()
        self._held_bytes = 0

    def _forget_oldest(self) -> None:
        while self._held_bytes > self.max_bytes or len(self._chains) > self.max_chains:
            _, oldest = self._chains.popitem(last=False)
            self._held_bytes -= oldest.held_bytes
