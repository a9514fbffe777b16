"""What a running jail leaves on disk: a folder under `run/jails` of the config directory, locked
while it runs.
"""

from __future__ import annotations

import contextlib
import fcntl
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

JAILS, LOCK, INFO, RESOLV_CONF = "jails", "lock", "jail.json", "resolv.conf"


@dataclass(slots=True)
class State:
    """The folder of one jail; `close` removes it."""

    folder: Path
    lock: int

    @classmethod
    def create(cls, directory: Path) -> State:
        """Make a folder, after removing those of launchers that were killed.

        Raises:
            ConfigError: the config directory cannot be written to.
        """
        jails = directory / "run" / JAILS
        try:
            jails.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _alone(jails):
                sweep(jails)
                folder = Path(tempfile.mkdtemp(dir=jails, prefix=f"{os.getpid()}-"))
                lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            raise ConfigError(f"cannot keep a jail's files in {jails}: {error.strerror}") from None
        return cls(folder, lock)

    def write_info(self, **facts: Any) -> None:
        """What `jail --status` shows."""
        (self.folder / INFO).write_text(
            json.dumps({"pid": os.getpid(), "started_at": time.time(), **facts})
        )

    def write_resolv_conf(self, dns: str) -> Path:
        """A resolv.conf with one name server."""
        path = self.folder / RESOLV_CONF
        path.write_text(f"nameserver {dns}\noptions timeout:5 attempts:2\n")
        path.chmod(0o644)
        return path

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.close(self.lock)


def sweep(jails: Path) -> None:
    """Remove the folders whose launcher is gone."""
    for folder in jails.iterdir():
        with contextlib.suppress(BlockingIOError), _taken(folder / LOCK):
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _alone(jails: Path) -> Iterator[None]:
    """Hold a lock beside the folders: between making a folder and locking it, it looks like one
    left behind.
    """
    descriptor = os.open(jails.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def running(directory: Path) -> Iterator[dict[str, Any]]:
    """What the running jails say of themselves."""
    jails = directory / "run" / JAILS
    for folder in sorted(jails.iterdir()) if jails.is_dir() else []:
        try:
            with _taken(folder / LOCK):
                pass
        except BlockingIOError:
            with contextlib.suppress(OSError, ValueError):
                yield json.loads((folder / INFO).read_text())


@contextlib.contextmanager
def _taken(lock: Path) -> Iterator[None]:
    """Hold the lock of a dead launcher; a folder without one was left before it could be locked.

    Raises:
        BlockingIOError: the launcher lives.
    """
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
