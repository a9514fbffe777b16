"""Freed memory goes back to the system when a process has grown."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from interceptor.operate.freed_memory import (
    GROWTH_BYTES,
    find_trim,
    give_back_freed_memory,
    resident_bytes,
)

MB = 1024 * 1024
BASE = 100 * MB


async def trims_with(sizes: list[int]) -> list[int]:
    """Return the number of looks at which memory was given back."""
    looks, trims = iter(sizes), []
    seen = 0

    def resident() -> int:
        nonlocal seen
        seen += 1
        size = next(looks, None)
        if size is None:
            raise asyncio.CancelledError
        return size

    def trim(_: int) -> int:
        trims.append(seen)
        return 1

    with suppress(asyncio.CancelledError):
        await give_back_freed_memory(0.0, resident=resident, trim=trim)
    return trims


@pytest.mark.parametrize(
    ("later", "count"),
    [
        ([BASE] * 5, 0),
        ([BASE + GROWTH_BYTES - 1] * 5, 0),
        # Every trim looks again: the second value is what is left.
        ([BASE + GROWTH_BYTES, BASE, BASE, BASE], 1),
        # What is in use stays, and is no reason to try again.
        ([BASE + GROWTH_BYTES, BASE + GROWTH_BYTES, BASE + GROWTH_BYTES], 1),
        # A process that has shrunk may grow again.
        ([BASE - GROWTH_BYTES, BASE, BASE], 1),
    ],
)
def test_it_gives_back_after_growth_alone(later: list[int], count: int) -> None:
    assert len(asyncio.run(trims_with([BASE, BASE, *later]))) == count


@pytest.mark.skipif(find_trim() is None, reason="not glibc")
def test_freed_chunks_leave_the_process() -> None:
    trim = find_trim()
    assert trim is not None
    trim(0)
    before = resident_bytes()
    # Chunks between others that stay: nothing at the heap's end is free.
    chunks = [b"x" * 60_000 for _ in range(2000)]
    kept = chunks[::100]
    grown = resident_bytes()
    del chunks
    trim(0)
    assert grown - before > 100 * MB
    assert resident_bytes() - before < 30 * MB
    assert len(kept) == 20
