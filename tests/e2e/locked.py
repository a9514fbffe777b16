"""A SQLite database that another process has locked."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.process import ROOT


@contextlib.contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold the write lock in another process."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.lock_holder", str(database)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        try:
            yield
        finally:
            holder.stdin.write("\n")
            holder.stdin.close()
