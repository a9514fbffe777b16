"""The name of a body: a digest of its bytes, which goes on where an earlier body with the same
beginning ends. Pure.

Hashing is the one thing that has to see every byte. So what the hash had come to is kept every 32
KB, half a kilobyte each, and a body that begins as an earlier one did is hashed from the last such
place on.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

STEP_BYTES = 32 * 1024
STATE_BYTES = 600
"""About how much memory a state takes."""


@dataclass(frozen=True, slots=True)
class Digest:
    """`states[n]` is the hash of the first (n + 1) * `STEP_BYTES` bytes."""

    name: str
    states: tuple[Any, ...] = ()

    @property
    def held_bytes(self) -> int:
        """About how much memory it takes; most states are those of the body before."""
        return len(self.states) * STATE_BYTES


def digest_of(data: bytes) -> str:
    """The name of these bytes."""
    return hashlib.blake2b(data, digest_size=32).hexdigest()


def resumable(data: bytes, earlier: Digest | None = None, same_bytes: int = 0) -> Digest:
    """The name of `data`, whose first `same_bytes` bytes are those of a body with the digest
    `earlier`.
    """
    states = list(earlier.states[: same_bytes // STEP_BYTES]) if earlier else []
    state = states[-1].copy() if states else hashlib.blake2b(digest_size=32)
    view = memoryview(data)
    position = len(states) * STEP_BYTES
    while len(data) - position >= STEP_BYTES:
        state.update(view[position : position + STEP_BYTES])
        states.append(state.copy())
        position += STEP_BYTES
    state.update(view[position:])
    return Digest(state.hexdigest(), tuple(states))
