"""Every process of a test believes that it runs on macOS: loaded by Python itself at its start.

What only Linux has is missing or fails as it would there: functions, constants, `/proc`.
"""

from __future__ import annotations

import builtins
import ctypes
import errno
import io
import mmap
import os
import pathlib
import select
import socket
import sys
import sysconfig
from typing import Any

ONLY_LINUX: dict[Any, tuple[str, ...]] = {
    os: (
        "copy_file_range", "epoll", "eventfd", "memfd_create", "pidfd_open", "posix_fadvise",
        "posix_fallocate", "sched_getaffinity", "sched_setaffinity", "setns", "splice", "unshare",
        "getrandom",
    ),
    select: ("epoll", "EPOLLIN"),
    socket: ("AF_NETLINK", "AF_VSOCK", "AF_PACKET", "SO_PEERCRED", "SO_BINDTODEVICE", "TCP_QUICKACK"),
    mmap: ("MADV_DONTDUMP", "MADV_REMOVE", "MADV_HUGEPAGE"),
}  # fmt: skip
LIBC_ONLY_LINUX = {"inotify_init1", "inotify_add_watch", "malloc_trim", "prctl", "unshare", "mount"}
"""Functions of the C library that macOS has not."""


def _without(path: object) -> bool:
    return isinstance(path, (str, bytes, os.PathLike)) and os.fsdecode(path).startswith("/proc")


def _no_proc(function: Any) -> Any:
    def call(path: Any, *arguments: Any, **options: Any) -> Any:
        if _without(path):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return function(path, *arguments, **options)

    return call


class _Library(ctypes.CDLL):
    def __getattr__(self, name: str) -> Any:
        if name in LIBC_ONLY_LINUX:
            raise AttributeError(f"dlsym: symbol not found: {name}")
        return super().__getattr__(name)


def become_another_system() -> None:
    # The interpreter finds the data of its own build by the system's name.
    sysconfig.get_config_vars()
    # It is defined by functions that are removed here.
    os.process_cpu_count = os.cpu_count  # type: ignore[assignment]
    for module, names in ONLY_LINUX.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    for name in ("open", "stat", "lstat", "listdir", "scandir", "readlink"):
        setattr(os, name, _no_proc(getattr(os, name)))
    builtins.open = io.open = _no_proc(io.open)
    ctypes.CDLL = _Library  # type: ignore[misc]
    sys.platform = "darwin"
    told = os.environ.get("OTHER_SYSTEM_LOG")
    if told:
        with pathlib.Path(told).open("a") as log:
            log.write(f"{os.getpid()} {' '.join(sys.orig_argv[1:])}\n")


become_another_system()
