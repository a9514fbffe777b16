"""State of a running jail on disk: a folder under `run/jails`, locked while it runs."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from providers.base.errors import ConfigError
from providers.base.file_lock import FileLock

JAILS, LOCK, INFO, RESOLV_CONF = "jails", "lock", "jail.json", "resolv.conf"


@dataclass(slots=True)
class State:
    """Folder of one jail. `close` removes it."""

    folder: Path
    lock: FileLock

    @classmethod
    def create(cls, directory: Path) -> State:
        """Make a folder, after removing those of launchers that were killed.

        Raises:
            ConfigError: the config directory cannot be written to.
        """
        jails = directory / "run" / JAILS
        try:
            jails.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Between being made and being locked, a folder looks like one left behind.
            with FileLock(jails.with_suffix(".lock")):
                sweep(jails)
                folder = Path(tempfile.mkdtemp(dir=jails, prefix=f"{os.getpid()}-"))
                lock = FileLock(folder / LOCK)
                lock.acquire()
        except OSError as error:
            raise ConfigError(f"cannot keep a jail's files in {jails}: {error.strerror}") from None
        return cls(folder, lock)

    def write_info(self, **facts: Any) -> None:
        """Write the facts that `jail --status` shows."""
        (self.folder / INFO).write_text(
            json.dumps({"pid": os.getpid(), "started_at": time.time(), **facts})
        )

    def write_resolv_conf(self, dns: str) -> Path:
        """Write a resolv.conf with one name server and return its path."""
        path = self.folder / RESOLV_CONF
        path.write_text(f"nameserver {dns}\noptions timeout:5 attempts:2\n")
        path.chmod(0o644)
        return path

    def write_empty_file(self) -> Path:
        """Write a file without content and return its path."""
        path = self.folder / "empty"
        path.touch(mode=0o444)
        return path

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.lock.release()


def sweep(jails: Path) -> None:
    """Remove the folders whose launcher has ended."""
    for folder in jails.iterdir():
        with _unless_running(folder) as is_running:
            if not is_running:
                shutil.rmtree(folder, ignore_errors=True)


def running(directory: Path) -> Iterator[dict[str, Any]]:
    """Yield the facts of each running jail."""
    jails = directory / "run" / JAILS
    for folder in sorted(jails.iterdir()) if jails.is_dir() else []:
        with _unless_running(folder) as is_running:
            pass
        if is_running:
            with contextlib.suppress(OSError, ValueError):
                yield json.loads((folder / INFO).read_text())


@contextlib.contextmanager
def _unless_running(folder: Path) -> Iterator[bool]:
    """Yield whether the folder's launcher lives. Hold its lock if it does not."""
    lock = FileLock(folder / LOCK, create=False)
    try:
        is_running = not lock.try_acquire()
    except OSError:
        # A launcher that was killed before it could lock its folder left no lock file.
        is_running = False
    try:
        yield is_running
    finally:
        lock.release()
