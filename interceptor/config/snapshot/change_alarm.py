"""Sleep of a thread until files of a folder change, or another thread rings.

Looking twice a second costs a process that rests more than everything else it does: its caches are
cold each time. Linux tells of changes by inotify(7); elsewhere the thread has to look.
"""

from __future__ import annotations

import ctypes
import os
import select
import weakref
from pathlib import Path
from typing import Final

# Constants of <sys/inotify.h>: files are written, appear, disappear or are renamed.
_MODIFY: Final = 0x2
_MOVED_FROM: Final = 0x40
_MOVED_TO: Final = 0x80
_CREATE: Final = 0x100
_DELETE: Final = 0x200
_CHANGES: Final = _MODIFY | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE

_READ_BYTES: Final = 64 * 1024


class ChangeAlarm:
    """Alarm for one thread that waits. `ring` may be called from any other."""

    def __init__(self) -> None:
        self._bell_out, self._bell_in = os.pipe()
        os.set_blocking(self._bell_out, False)
        os.set_blocking(self._bell_in, False)
        self._changes: int | None = None
        # Not at the thread's end: others may ring later.
        weakref.finalize(self, _close, self._bell_out, self._bell_in)
        self._poll = select.poll()
        self._poll.register(self._bell_out, select.POLLIN)

    @property
    def is_watching(self) -> bool:
        """Changes of the folder end the sleep."""
        return self._changes is not None

    def watch(self, folder: Path) -> None:
        """Wake up for every change in `folder` from now on, if the system can tell of them."""
        self._changes = _inotify(folder)
        if self._changes is not None:
            self._poll.register(self._changes, select.POLLIN)
            weakref.finalize(self, _close, self._changes)

    def ring(self) -> None:
        """End the sleep, or the next one at its beginning."""
        try:
            os.write(self._bell_in, b"\0")
        except BlockingIOError:
            # Full: it rings already.
            return

    def wait(self, timeout_s: float) -> None:
        """Sleep until something changes, another thread rings, or the time is over."""
        self._poll.poll(max(0.0, timeout_s) * 1000)

    def clear(self) -> None:
        """Forget what has changed so far. Call it before looking at the files, not behind it."""
        _drain(self._bell_out)
        if self._changes is not None:
            _drain(self._changes)


def _close(*fds: int) -> None:
    for fd in fds:
        os.close(fd)


def _drain(fd: int) -> None:
    try:
        while os.read(fd, _READ_BYTES):
            pass
    except BlockingIOError:
        return


def _inotify(folder: Path) -> int | None:
    """Return a descriptor that is readable once something in `folder` changes; None without it."""
    libc = ctypes.CDLL(None)
    try:
        start, add = libc.inotify_init1, libc.inotify_add_watch
    except AttributeError:
        return None
    fd = int(start(os.O_NONBLOCK | os.O_CLOEXEC))
    if fd < 0:
        # The user has as many as the system allows.
        return None
    if add(fd, os.fsencode(folder), ctypes.c_uint32(_CHANGES)) < 0:
        os.close(fd)
        return None
    return fd
