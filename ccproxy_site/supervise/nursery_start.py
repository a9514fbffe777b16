"""Start of the nursery, by the command that becomes the supervisor. Imports little.

The command starts it before it replaces itself: the nursery takes longest of all to be ready.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

_LAST_STANDARD: Final = 2
TERMINAL_SIGNALS: Final = {signal.SIGINT, signal.SIGHUP, signal.SIGTERM}
ROOM: Final = "." * 160
"""Argument in whose place the command line of a child is written."""


class NurseryProcess(NamedTuple):
    """A nursery that runs, as `--nursery` names it."""

    descriptor: int
    """Our end of its control socket; a program that replaces this one has it too."""
    pid: int

    @classmethod
    def parse(cls, text: str) -> NurseryProcess:
        """Return what `str` of one said."""
        descriptor, pid = text.split(":")
        return cls(int(descriptor), int(pid))

    def __str__(self) -> str:
        return f"{self.descriptor}:{self.pid}"


def start_nursery(module: str, environ: dict[str, str]) -> NurseryProcess:
    """Start `python -m module` with a control socket.

    `subprocess` would take longer to be imported than all the rest.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.set_inheritable(True)
        words = ["--control", str(theirs.fileno()), "--room", ROOM]
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", "-m", module, *words],
            environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                *[(os.POSIX_SPAWN_CLOSE, other) for other in _inherited(theirs.fileno())],
            ],
            # Ctrl-C reaches the whole group, and it has no handler yet.
            setsigmask=TERMINAL_SIGNALS,
        )
    ours.set_inheritable(True)
    return NurseryProcess(ours.detach(), pid)


def _inherited(control: int) -> list[int]:
    """Return the descriptors that were handed to this process and mean nothing to its children.

    A shell may have left them open: its reader waits for the end of all that have it.
    """
    found: list[int] = []
    for entry in Path("/proc/self/fd").iterdir():
        descriptor = int(entry.name)
        # That of the list itself is closed by now.
        with suppress(OSError):
            if descriptor > _LAST_STANDARD and os.get_inheritable(descriptor):
                found.append(descriptor)
    return [descriptor for descriptor in found if descriptor != control]


def can_fork() -> bool:
    """Return whether this system has what the nursery needs: Linux 5.3 or newer.

    Frameworks of macOS do not survive a fork.
    """
    if sys.platform != "linux":
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True
