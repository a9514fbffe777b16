"""The supervisor's side of the nursery: a process that forks the others.

The nursery has imported what all kinds of processes need (`ccproxy_site/mains/nursery_main.py`),
so that is done once for each start, and its memory is shared. It is the parent of what it forks
and reports their exit codes. Without it, children are started as programs of their own: on other
systems than Linux, and once the nursery has died.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from ccproxy_site.supervise.control import Control, Message
from ccproxy_site.supervise.spawn import spawn

LOST_CODE: Final = 255
"""Exit code of a process whose own nobody could ask for: the nursery died before it."""
ROOM: Final = "." * 160
"""Argument in whose place the command line of a child is written."""
END_TIMEOUT_S: Final = 5.0


class Nursery:
    """The process, from its start to its end.

    Args:
        module: its main.
    """

    def __init__(self, module: str) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process: subprocess.Popen[bytes] = spawn(module, ["--room", ROOM], theirs)
        self._control = Control(ours)
        self._codes: dict[int, int] = {}
        self.is_lost = False
        """It has died, and forks no more."""

    @property
    def descriptor(self) -> int:
        """Becomes readable when there is something to hear."""
        return self._control.socket.fileno()

    def fork(self, module: str, arguments: Sequence[str], end: socket.socket) -> Forked | None:
        """Have it fork a process that runs a main; None when it has died.

        Waits until everything is imported, which at the start takes a second.
        """
        if self.is_lost or not self._control.say([end.fileno()], fork=module, arguments=arguments):
            self.is_lost = True
            return None
        while (message := self._control.hear()) is not None:
            if "forked" in message.words:
                return Forked(self, int(message.words["forked"]))
            self._note_end(message)
        self.is_lost = True
        return None

    def hear(self) -> None:
        """Take what it says; call this when the socket is readable."""
        message = self._control.hear()
        if message is None:
            self.is_lost = True
        else:
            self._note_end(message)

    def code_of(self, pid: int) -> int | None:
        """Return the exit code of a process that it has forked; None while that is not known."""
        return self._codes.get(pid)

    def close(self) -> None:
        """End it, once its children have ended."""
        self._control.close()
        try:
            self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _note_end(self, message: Message) -> None:
        self._codes[int(message.words["ended"])] = int(message.words["code"])


class Forked:
    """A process that the nursery has forked, with the methods of `subprocess.Popen`."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.pid = pid
        self._nursery = nursery
        try:
            # Its number may be another process's later; this always means this one.
            self._pidfd: int | None = os.pidfd_open(pid)
        except ProcessLookupError:
            self._pidfd = None

    def poll(self) -> int | None:
        """Return the exit code; None while the process runs."""
        code = self._nursery.code_of(self.pid)
        if code is None and self._nursery.is_lost and self._has_ended():
            code = LOST_CODE
        if code is not None:
            self._forget()
        return code

    def kill(self) -> None:
        """End it at once; one that has ended is left alone."""
        if self._pidfd is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _has_ended(self) -> bool:
        return self._pidfd is None or bool(select.select([self._pidfd], [], [], 0)[0])

    def _forget(self) -> None:
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None


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
