"""BLAKE2b-256 content digests of bodies. Pure.

Saves the hash's state every 32 KB (about 0.6 KB each), so that a body with a known prefix is hashed
from there: after 100 KB that are as before, hashing goes on at 96 KB.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

STEP_BYTES = 32 * 1024
STATE_BYTES = 600
"""Estimated memory of a saved state."""


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest in hex; `states[n]` is the hash of the first (n + 1) * `STEP_BYTES` bytes."""

    hex: str
    states: tuple[Any, ...] = ()

    @property
    def held_bytes(self) -> int:
        """Estimated memory; most states are shared with the digest of the body before."""
        return len(self.states) * STATE_BYTES


def digest_of(data: bytes) -> str:
    """Return the digest of these bytes in hex."""
    return hashlib.blake2b(data, digest_size=32).hexdigest()


def resumable_digest(data: bytes, earlier: Digest | None = None, same_bytes: int = 0) -> Digest:
    """Return the digest of `data`, whose first `same_bytes` bytes `earlier` has hashed already."""
    states: list[Any] = []
    if earlier is not None:
        # States behind the first difference belong to other bytes.
        same_steps = same_bytes // STEP_BYTES
        states += earlier.states[:same_steps]
    state = states[-1].copy() if states else hashlib.blake2b(digest_size=32)
    view = memoryview(data)
    position = len(states) * STEP_BYTES
    while len(data) - position >= STEP_BYTES:
        step = view[position : position + STEP_BYTES]
        state.update(step)
        states.append(state.copy())
        position += STEP_BYTES
    state.update(view[position:])
    return Digest(state.hexdigest(), tuple(states))
