"""Locks between the processes of a machine, each on a file that only its owner can open.

The kernel frees a lock when its holder dies, however it dies (flock(2)). A lock file is never
removed: a process that waits for the removed file and one that makes it anew would both hold it.
Why no library does this: docs/decisions/007-libraries.md.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

POLL_INTERVAL_S: Final = 0.03


class LockUnsupportedError(OSError):
    """The file system of the lock file knows no locks; some network file systems do not."""


class FileLock:
    """The lock of one file. Two objects for the same file exclude each other, also in one process.

    `with FileLock(path):` waits for the lock. One object is one holder: it is not reentrant.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self._path = path
        self._flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        """True while this object holds the lock."""
        return self._descriptor is not None

    def acquire(self) -> None:
        """Wait for the lock, for ever if need be. Blocks the thread.

        Raises:
            OSError: the lock file cannot be opened, or cannot be locked.
        """
        self._lock(fcntl.LOCK_EX)

    def acquire_shared(self) -> None:
        """Wait until no other holder has the lock for itself, and share it with others.

        Raises:
            OSError: the lock file cannot be opened, or cannot be locked.
        """
        self._lock(fcntl.LOCK_SH)

    def keep_over_exec(self) -> None:
        """Leave the lock to the program that replaces this one; it is held until that one ends."""
        if self._descriptor is not None:
            os.set_inheritable(self._descriptor, True)

    def try_acquire(self) -> bool:
        """Take the lock if it is free; False while another holder has it.

        Raises:
            OSError: the lock file cannot be opened, or cannot be locked.
        """
        try:
            self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    async def acquire_async(
        self, timeout_s: float | None = None, poll_interval_s: float = POLL_INTERVAL_S
    ) -> None:
        """Wait for the lock without holding up the event loop; None waits for ever.

        Raises:
            TimeoutError: another holder had it all the time.
            OSError: the lock file cannot be opened, or cannot be locked.
        """
        import asyncio  # the jail, which starts without it, takes locks too

        started = time.monotonic()
        while True:
            # On a thread: a lock on a slow disk may take its time even when nobody else holds it.
            attempt = asyncio.ensure_future(asyncio.to_thread(self.try_acquire))
            try:
                if await asyncio.shield(attempt):
                    return
            except asyncio.CancelledError:
                # The thread goes on; what it takes is given back.
                attempt.add_done_callback(lambda _: self.release())
                raise
            if timeout_s is not None and time.monotonic() - started >= timeout_s:
                raise TimeoutError(f"{self._path} is locked")
            await asyncio.sleep(poll_interval_s)

    def release(self) -> None:
        """Give the lock back; without it, do nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _lock(self, operation: int) -> None:
        descriptor = os.open(self._path, self._flags, 0o600)
        try:
            fcntl.flock(descriptor, operation)
        except BlockingIOError:
            os.close(descriptor)
            raise
        except OSError as exc:
            os.close(descriptor)
            raise LockUnsupportedError(exc.errno, exc.strerror, str(self._path)) from None
        self._descriptor = descriptor
