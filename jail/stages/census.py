"""Processes of the jail: those whose user namespace descends from ours.

There is no way out of one. In ours itself are this process, the tunnel's client, and slirp4netns,
which joins it for its sandbox.
"""

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


def end_all(grace_s: float) -> int:
    """Ask every process of the jail to end, kill it after the grace. Return their number."""
    found = members()
    number = len(found)
    _signal(found, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while found and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)
        found = members()
    for _ in range(_ROUNDS):
        if not found:
            break
        _signal(found, signal.SIGKILL)
        time.sleep(_PAUSE_S)
        found = members()
    return number


def members() -> list[int]:
    """Return the living processes of the jail."""
    ours = os.stat("/proc/self/ns/user").st_ino
    known: dict[int, bool] = {ours: False}
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if _belongs(pid, ours, known) and _lives(pid)]


def _belongs(pid: int, ours: int, known: dict[int, bool]) -> bool:
    path = f"/proc/{pid}/ns/user"
    try:
        inode = os.stat(path).st_ino
        if inode not in known:
            known[inode] = _stems_from(path, ours)
        return known[inode]
    except OSError:
        return False


def _stems_from(path: str, ours: int) -> bool:
    """Walk up from a namespace. The kernel refuses to show what does not lie below ours."""
    opened = [os.open(path, os.O_RDONLY | os.O_CLOEXEC)]
    try:
        while os.fstat(opened[-1]).st_ino != ours:
            try:
                opened.append(fcntl.ioctl(opened[-1], _NS_GET_PARENT))
            except OSError:
                return False
        return True
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
