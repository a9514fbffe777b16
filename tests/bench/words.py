"""Text that does not repeat: slices of a pool of phrases, the same in every run.

Words and phrases are as frequent as a natural language's (the second half as often as the first),
so the text packs like prose and programs: zstd makes a quarter of it.
"""

from __future__ import annotations

import itertools
import random

_WORDS, _PHRASES, _POOL_PHRASES = 8_000, 30_000, 120_000
_PIECE_BYTES = 16 * 1024
_random = random.Random(14)


def _frequencies(count: int) -> list[float]:
    """Return cumulated weights by Zipf's law."""
    return list(itertools.accumulate(1 / rank for rank in range(1, count + 1)))


def _word() -> str:
    return "".join(_random.choices("etaoinshrdlucmfwypvbgkqjxz", k=_random.randint(2, 9)))


def _pool() -> str:
    words = [_word() for _ in range(_WORDS)]
    of_words = _frequencies(_WORDS)
    phrases: list[str] = []
    for _ in range(_PHRASES):
        chosen = _random.choices(words, cum_weights=of_words, k=_random.randint(3, 9))
        phrases.append(" ".join(chosen))
    return ", ".join(_random.choices(phrases, cum_weights=_frequencies(_PHRASES), k=_POOL_PHRASES))


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
