"""Limit on open files: systems start programs with one that a few hundred streams reach."""

from __future__ import annotations

import contextlib
import resource

WANTED = 65_536


def raise_open_files_limit() -> int:
    """Raise this process's soft limit on open files to at most `WANTED`; return the limit now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = WANTED if hard == resource.RLIM_INFINITY else min(hard, WANTED)
    if 0 <= soft < limit:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
