"""Memory that was freed, given back to the system.

glibc keeps freed chunks for later ones. After a few large responses that is most of a process.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
from collections.abc import Callable
from pathlib import Path

logger = logging.getLogger(__name__)

CHECK_INTERVAL_S = 15.0
LONGEST_INTERVAL_S = 240.0
GROWTH_BYTES = 16 * 1024 * 1024
"""Smaller growth is left alone: giving back 1 MB and asking for it again takes 0.1 ms."""
_M_ARENA_MAX = -8  # <malloc.h>
_M_MMAP_THRESHOLD = -3
LARGE_BLOCK_BYTES = 512 * 1024
_STATM = Path("/proc/self/statm")


def resident_bytes() -> int:
    """Return this process's memory; 0 where the system does not tell (all but Linux)."""
    try:
        pages = int(_STATM.read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def find_trim() -> Callable[[int], int] | None:
    """Return glibc's `malloc_trim`; None with another C library."""
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None
    return trim


def use_one_arena() -> None:
    """Let all threads that start later take their memory from one place.

    By default glibc has an arena for each thread, and gives back the end of the first one alone: of
    the others' ends, 60 MB stayed after large responses.
    """
    try:
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
    except (OSError, AttributeError, TypeError):
        # Another C library.
        return


def map_large_blocks() -> None:
    """Let blocks from `LARGE_BLOCK_BYTES` on leave the process as soon as they are freed.

    By default glibc takes them from the heap once a first one was freed. Between bodies of 1 MB
    stand small things that stay: after a hundred bodies, 95 MB of the heap were holes.
    """
    try:
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)
    except (OSError, AttributeError, TypeError):
        # Another C library.
        return


async def give_back_freed_memory(
    interval_s: float = CHECK_INTERVAL_S,
    *,
    resident: Callable[[], int] = resident_bytes,
    trim: Callable[[int], int] | None = None,
) -> None:
    """Give freed memory back while the process is larger than it once was, until cancelled.

    It runs in a thread, without the interpreter's lock: it takes milliseconds for each 100 MB. What
    is in use now may be freed later, so it looks again, after longer and longer pauses.
    """
    trim = trim or find_trim()
    if trim is None or not resident():
        return
    lowest = resident()
    pause_s = interval_s
    while True:
        await asyncio.sleep(pause_s)
        now = resident()
        if now < lowest + GROWTH_BYTES:
            lowest = min(lowest, now)
            pause_s = interval_s
            continue
        await asyncio.to_thread(trim, 0)
        given_bytes = now - resident()
        logger.debug("gave %.0f MB back to the system", given_bytes / 1e6)
        is_worth_it = given_bytes >= GROWTH_BYTES / 4
        pause_s = interval_s if is_worth_it else min(2 * pause_s, LONGEST_INTERVAL_S)
