"""Shared memory without a name, and the order in which processes see what others write. Pure."""

from __future__ import annotations

import os
from threading import Lock
from typing import Final

_lock: Final = Lock()


def anonymous_memory() -> int:
    """Return the descriptor of new, empty shared memory; started programs do not inherit it."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("ccproxy-ring", os.MFD_CLOEXEC)
    return unlinked_memory()


def unlinked_memory() -> int:
    """Return shared memory whose name was removed at once, for systems without memfd."""
    # As multiprocessing does it, which would start a process to watch over the name.
    import _posixshmem  # type: ignore[import-not-found]

    name = f"/ccproxy-{os.urandom(8).hex()}"
    fd: int = _posixshmem.shm_open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode=0o600)
    _posixshmem.shm_unlink(name)
    os.set_inheritable(fd, False)
    return fd


def memory_barrier() -> None:
    """Let other processes see everything written so far before anything that follows.

    A lock's atomic instruction is a full barrier on x86. ARM needs two locks: acquiring the second
    stays behind the release of the first, what was written stays before that release, and what
    follows stays behind the acquisition.
    """
    with _lock:
        pass
    with _lock:
        pass
