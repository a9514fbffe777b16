"""What a process and its children have used: CPU time in nanoseconds, and memory."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PROC = Path("/proc")
_CPU_CLOCK_OF_PROCESS = 2
"""`CPUCLOCK_SCHED` of Linux: time that the scheduler gave to a process, all threads together."""


class Memory(NamedTuple):
    """Memory of some processes, in MB (2^20 bytes).

    Pages that several processes share count in the resident size (`rss`) of each. The proportional
    size (`pss`) divides them among those that share them, so it may be added up.
    """

    rss_mb: float
    pss_mb: float


def cpu_s(pids: Iterable[int]) -> float:
    """Return the CPU time of these processes and the children they waited for, in seconds.

    The processes' own time has the resolution of a nanosecond, that of children of a tick.
    """
    total = 0.0
    for pid in pids:
        own_ns = time.clock_gettime_ns(_clock(pid))
        total += own_ns / 1e9 + _waited_ticks(pid) / _TICKS_PER_S
    return total


def memory(pids: Iterable[int]) -> Memory:
    """Return the memory of these processes now."""
    rss_mb = pss_mb = 0.0
    for pid in pids:
        pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
        rss_mb += pages * _PAGE_BYTES / 2**20
        pss_mb += _pss_kb(pid) / 1024
    return Memory(rss_mb, pss_mb)


def tree(pid: int) -> list[int]:
    """Return the process and everything below it."""
    found = [pid]
    for parent in found:
        # A child may end while its parent is looked at.
        with contextlib.suppress(OSError):
            for task in (_PROC / str(parent) / "task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def _clock(pid: int) -> int:
    # As clock_getcpuclockid(3) makes it: the inverted pid above three bits for the kind of clock.
    return (~pid << 3) | _CPU_CLOCK_OF_PROCESS


def _waited_ticks(pid: int) -> int:
    # The name in the second field may hold spaces; behind its bracket comes the third field.
    fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[13:15]))


def _pss_kb(pid: int) -> int:
    for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise AssertionError("the system tells no proportional size")
