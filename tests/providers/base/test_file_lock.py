"""Locks between processes: exclusive, freed by a crash, and no burden to the event loop."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from providers.auth.refresh_lock import LockFailed, file_lock
from providers.base.file_lock import FileLock, LockUnsupportedError
from tests.environment import ROOT

HOLDER = """
import sys
from pathlib import Path
from providers.base.file_lock import FileLock
with FileLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the lock until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    with first:
        assert not second.try_acquire()
    assert second.try_acquire()
    second.release()
    second.release()
    assert not second.is_held


def test_its_file_is_its_owners_alone_and_stays(tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock"):
        pass
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600


def test_a_symbolic_link_is_no_lock_file(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="lock"):
        FileLock(tmp_path / "lock").try_acquire()
    assert not (tmp_path / "elsewhere").exists()


def test_a_lock_file_may_have_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FileLock(tmp_path / "lock", create=False).try_acquire()


def test_a_killed_holder_leaves_the_lock_free(tmp_path: Path) -> None:
    with another_process(tmp_path / "lock") as process:
        assert not FileLock(tmp_path / "lock").try_acquire()
        process.kill()
        process.wait()
        assert FileLock(tmp_path / "lock").try_acquire()


async def test_waiting_leaves_the_event_loop_free(tmp_path: Path) -> None:
    holder, waiter = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    holder.acquire()
    waiting = asyncio.create_task(waiter.acquire_async(poll_interval_s=0))
    # Only this loop can release the lock: a waiter that blocked it would wait for ever.
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()
    holder.release()
    await waiting
    assert waiter.is_held
    waiter.release()


async def test_waiting_ends_in_time(tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock"), pytest.raises(TimeoutError):
        await FileLock(tmp_path / "lock").acquire_async(timeout_s=0)


async def test_a_cancelled_wait_keeps_nothing(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    waiting = asyncio.create_task(lock.acquire_async())
    # One step: the attempt is on its thread, which nothing can stop.
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await FileLock(tmp_path / "lock").acquire_async(timeout_s=60)


async def test_a_login_under_refresh_elsewhere_is_told(tmp_path: Path) -> None:
    refused = pytest.raises(LockFailed, match="under refresh by another process for 0 s")
    with another_process(tmp_path / ".login.ccproxy.lock"), refused:
        async with file_lock(tmp_path / "login", 0):
            pass


async def test_a_disk_without_locks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(LockUnsupportedError):
        FileLock(tmp_path / "lock").acquire()
    with pytest.raises(LockFailed, match="keep its file on a local disk"):
        async with file_lock(tmp_path / "login", 0):
            pass
