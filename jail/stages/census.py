"""Which processes belong to the jail: those whose user namespace is ours or stems from it. There is no way out of one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Collection

_NS_GET_PARENT = 0xB702
"""ioctl_ns(2)"""
_ROUNDS = 50
_PAUSE_S = 0.02


def end_all(spared: Collection[int], grace_s: float) -> int:
    """Ask every process of the jail to end, kill it after the grace; returns how many there were."""
    found = members(spared)
    number = len(found)
    _signal(found, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while found and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)
        found = members(spared)
    for _ in range(_ROUNDS):
        if not found:
            break
        _signal(found, signal.SIGKILL)
        time.sleep(_PAUSE_S)
        found = members(spared)
    return number


def members(spared: Collection[int]) -> list[int]:
    """The living processes of the jail, but for this one and the spared ones."""
    known: dict[int, bool] = {os.stat("/proc/self/ns/user").st_ino: True}
    left_out = {os.getpid(), *spared}
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if pid not in left_out and _belongs(pid, known) and _lives(pid)]


def _belongs(pid: int, known: dict[int, bool]) -> bool:
    path = f"/proc/{pid}/ns/user"
    try:
        inode = os.stat(path).st_ino
        if inode not in known:
            known[inode] = _stems_from_ours(path, known)
        return known[inode]
    except OSError:
        return False


def _stems_from_ours(path: str, known: dict[int, bool]) -> bool:
    """Walk up from a namespace; the kernel refuses to show what lies above ours."""
    opened = [os.open(path, os.O_RDONLY | os.O_CLOEXEC)]
    try:
        while True:
            inode = os.fstat(opened[-1]).st_ino
            if known.get(inode):
                return True
            try:
                opened.append(fcntl.ioctl(opened[-1], _NS_GET_PARENT))
            except OSError:
                return False
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def _signal(pids: Collection[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
