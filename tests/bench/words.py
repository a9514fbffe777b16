"""Text that does not repeat: slices of a pool of random words, the same in every run."""

from __future__ import annotations

import random

_POOL_WORDS = 600_000
_PIECE_BYTES = 16 * 1024
_random = random.Random(14)


def _word() -> str:
    return "".join(_random.choices("etaoinshrdlucmfwypvbgkqjxz", k=_random.randint(2, 11)))


def _pool() -> str:
    vocabulary = [_word() for _ in range(6000)]
    return " ".join(_random.choices(vocabulary, k=_POOL_WORDS))


_POOL = _pool()


def text(size_bytes: int) -> str:
    """Return text of this size that was not returned before."""
    pieces: list[str] = []
    missing = size_bytes
    while missing > 0:
        length = min(missing, _PIECE_BYTES)
        start = _random.randrange(len(_POOL) - length)
        pieces.append(_POOL[start : start + length])
        missing -= length
    return "".join(pieces)
