"""Freed memory goes back to the system when a process has grown."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import suppress
from unittest.mock import patch

import pytest

from interceptor.operate.freed_memory import (
    GROWTH_BYTES,
    find_trim,
    give_back_freed_memory,
    resident_bytes,
)

MB = 1024 * 1024
BASE = 100 * MB
LARGE = BASE + GROWTH_BYTES


async def trims_with(sizes: list[int]) -> list[float]:
    """Return the pauses before memory was given back, in intervals."""
    looks, trims = iter(sizes), []
    pause_s = 0.0
    usual = asyncio.sleep

    async def sleep(delay_s: float) -> None:
        nonlocal pause_s
        pause_s = delay_s
        await usual(0)

    def resident() -> int:
        size = next(looks, None)
        if size is None:
            raise asyncio.CancelledError
        return size

    def trim(_: int) -> int:
        trims.append(pause_s)
        return 1

    with suppress(asyncio.CancelledError), patch.object(asyncio, "sleep", sleep):
        await give_back_freed_memory(1.0, resident=resident, trim=trim)
    return trims


@pytest.mark.parametrize(
    ("later", "pauses"),
    [
        ([BASE] * 5, []),
        ([BASE + GROWTH_BYTES - 1] * 5, []),
        # Every trim looks again: the second value is what is left.
        ([BASE + GROWTH_BYTES, BASE, BASE, BASE], [1]),
        # What is in use is looked at again, after longer pauses; in the end it is freed.
        ([LARGE, LARGE, LARGE, LARGE, LARGE, LARGE, LARGE, BASE, BASE], [1, 2, 4, 8]),
        ([LARGE, LARGE, BASE, LARGE, BASE], [1, 1]),
        ([LARGE] * 30, [1, 2, 4, 8, 16, 32, 64, 128, *[240] * 7]),
        # A process that has shrunk may grow again.
        ([BASE - GROWTH_BYTES, BASE, BASE], [1]),
    ],
)
def test_it_gives_back_after_growth_alone(later: list[int], pauses: list[float]) -> None:
    assert asyncio.run(trims_with([BASE, BASE, *later])) == pauses


THREADS = """
import ctypes, sys, threading
from interceptor.operate.freed_memory import use_one_arena

if sys.argv[1] == "one":
    use_one_arena()
ready = threading.Barrier(4)

def work():
    ready.wait()
    bytes(100_000)

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
ctypes.CDLL(None).malloc_stats()
"""


@pytest.mark.skipif(find_trim() is None, reason="not glibc")
def test_threads_share_one_arena() -> None:
    arenas = {}
    for choice in ("one", "many"):
        command = [sys.executable, "-c", THREADS, choice]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        arenas[choice] = done.stderr.count("Arena ")
    assert arenas["one"] == 1 < arenas["many"]


BLOCKS = """
import sys
from interceptor.operate.freed_memory import map_large_blocks, resident_bytes

if sys.argv[1] == "mapped":
    map_large_blocks()
# From its end on, glibc takes such blocks from the heap.
b"x" * 1_000_000
before = resident_bytes()
blocks, kept = [], []
for _ in range(40):
    blocks.append(b"x" * 1_000_000)
    kept.append(b"y" * 60_000)
blocks.clear()
print(resident_bytes() - before)
"""


@pytest.mark.skipif(find_trim() is None, reason="not glibc")
def test_large_blocks_leave_no_holes() -> None:
    grown = {}
    for choice in ("mapped", "plain"):
        command = [sys.executable, "-c", BLOCKS, choice]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        grown[choice] = int(done.stdout)
    assert grown["mapped"] < 10_000_000 < 35_000_000 < grown["plain"]


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
