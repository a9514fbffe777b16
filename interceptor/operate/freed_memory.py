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
GROWTH_BYTES = 16 * 1024 * 1024
"""Smaller growth is left alone: giving back 1 MB and asking for it again takes 0.1 ms."""
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


async def give_back_freed_memory(
    interval_s: float = CHECK_INTERVAL_S,
    *,
    resident: Callable[[], int] = resident_bytes,
    trim: Callable[[int], int] | None = None,
) -> None:
    """Give freed memory back whenever the process has grown since the last time, until cancelled.

    It runs in a thread, without the interpreter's lock: it takes milliseconds for each 100 MB.
    """
    trim = trim or find_trim()
    if trim is None or not resident():
        return
    lowest = resident()
    while True:
        await asyncio.sleep(interval_s)
        now = resident()
        if now >= lowest + GROWTH_BYTES:
            await asyncio.to_thread(trim, 0)
            lowest = resident()
            logger.debug("gave %.0f MB back to the system", (now - lowest) / 1e6)
        else:
            lowest = min(lowest, now)
