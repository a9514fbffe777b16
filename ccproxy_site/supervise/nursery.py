"""The supervisor's side of the nursery: a process that forks the others.

The nursery has imported what all kinds of processes need (`ccproxy_site/mains/nursery_main.py`),
so that is done once for each start, and its memory is shared. It is the parent of what it forks
and reports their exit codes. Once all processes are ready it ends, and they become children of the
supervisor. Without it, children are started as programs of their own: on other systems than Linux,
and those that are started again.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from ccproxy_site.supervise.control import Control, Message
from ccproxy_site.supervise.nursery_start import NurseryProcess

LOST_CODE: Final = 255
"""Exit code of a process that cannot be asked for: the nursery died together with the process."""
END_TIMEOUT_S: Final = 5.0
_PR_SET_CHILD_SUBREAPER: Final = 36  # <linux/prctl.h>


class Nursery:
    """The process, from its start to its end.

    Args:
        process: one that was started by this process, or by the program that it was before.
    """

    def __init__(self, process: NurseryProcess) -> None:
        self._pid = process.pid
        os.set_inheritable(process.descriptor, False)
        self._control = Control(socket.socket(fileno=process.descriptor))
        self._codes: dict[int, int] = {}
        self.is_gone = False
        """It has ended, and forks no more; what it has forked are this process's children."""
        _adopt_orphans(True)

    @property
    def descriptor(self) -> int:
        """Becomes readable when there is something to hear."""
        return self._control.socket.fileno()

    def fork(
        self, module: str, arguments: Sequence[str], end: socket.socket, *, has_django: bool
    ) -> Forked | None:
        """Have it fork a process that runs a main; None when it has died, or cannot.

        Waits until everything is imported, which at the start takes a second.

        Args:
            module: the main.
            arguments: those of the main.
            end: the process's end of its control socket.
            has_django: the process uses Django. After the first of these there is none without.
        """
        words = {"fork": module, "arguments": arguments, "django": has_django}
        if self.is_gone or not self._control.say([end.fileno()], **words):
            return None
        while (message := self._control.hear()) is not None:
            if "forked" in message.words:
                return Forked(self, int(message.words["forked"]))
            if "refused" in message.words:
                return None
            self._note_end(message)
        return None

    def hear(self) -> None:
        """Take what it says; call this when the socket is readable."""
        message = self._control.hear()
        if message is None:
            self._bury()
        else:
            self._note_end(message)

    def code_of(self, pid: int) -> int | None:
        """Return the exit code of a process that it has forked; None while that is not known."""
        code = self._codes.get(pid)
        return _exit_code(pid) if code is None and self.is_gone else code

    def dismiss(self) -> None:
        """End it. What it has forked goes on, as children of this process."""
        with suppress(OSError):
            self._control.socket.shutdown(socket.SHUT_WR)
        while not self.is_gone:
            if not select.select([self._control.socket], [], [], END_TIMEOUT_S)[0]:
                os.kill(self._pid, signal.SIGKILL)
            self.hear()

    def _bury(self) -> None:
        """Wait for its end, which follows that of its socket: then its children are ours."""
        os.waitpid(self._pid, 0)
        self.is_gone = True
        _adopt_orphans(False)

    def close(self) -> None:
        """Close the control socket of one that has ended."""
        self._control.close()

    def _note_end(self, message: Message) -> None:
        self._codes[int(message.words["ended"])] = int(message.words["code"])


class Forked:
    """A process that the nursery has forked, with the methods of `subprocess.Popen`."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.pid = pid
        self._nursery = nursery
        self._code: int | None = None
        try:
            # Its number may be another process's later; this always means this one.
            self._pidfd: int | None = os.pidfd_open(pid)
        except ProcessLookupError:
            self._pidfd = None

    def poll(self) -> int | None:
        """Return the exit code; None while the process runs."""
        if self._code is None:
            self._code = self._nursery.code_of(self.pid)
        if self._code is not None:
            self._forget()
        return self._code

    def kill(self) -> None:
        """End it at once; one that has ended is left alone."""
        if self._pidfd is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _forget(self) -> None:
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None


def _exit_code(pid: int) -> int | None:
    """Return the exit code of this process's child; None while it runs."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return LOST_CODE
    return os.waitstatus_to_exitcode(status) if ended else None


def _adopt_orphans(chosen: bool) -> None:
    """Make this process the parent of its grandchildren whose parent ends, or init again.

    Only while the nursery lives: later, init buries programs that children leave behind.
    """
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(chosen), 0, 0, 0)
