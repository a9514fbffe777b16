"""What a process and its children have used: CPU time and memory, out of /proc."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PROC = Path("/proc")


def cpu_s(pid: int) -> float:
    """User and system time of a process, its living children and those it has waited for, in
    seconds.
    """
    return sum(_cpu_ticks(each) for each in tree(pid)) / _TICKS_PER_S


def rss_mb(pid: int) -> float:
    """Resident memory of a process and its children, in MB (2^20 bytes)."""
    pages = sum(int((_PROC / str(each) / "statm").read_text().split()[1]) for each in tree(pid))
    return pages * _PAGE_BYTES / 2**20


def tree(pid: int) -> list[int]:
    """The process and everything below it."""
    found = [pid]
    for parent in found:
        for task in (_PROC / str(parent) / "task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def _cpu_ticks(pid: int) -> int:
    # The name in the second field may hold spaces; what follows its bracket begins with the third
    # field.
    fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15]))
