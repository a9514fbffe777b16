"""Files with prepared rows, for times in which the database takes none.

The rows are redacted and packed like those of the database; nothing else is in the files. Each file
is written aside and renamed, so that a file with its final name is complete. Files are private:
0600 in a folder of 0700.

    8 bytes "ccspool1" | 32 bytes BLAKE2b of the rest | rows (`spooled_rows.py`)
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple

from flows.writer.rows.flow_rows import FlowRows
from flows.writer.spooled_rows import rows_as_bytes, rows_of_bytes

logger = logging.getLogger(__name__)

MAX_BYTES: Final = 1024 * 1024 * 1024
"""Of all files together; what does not fit waits in memory."""

_MAGIC: Final = b"ccspool1"
_DIGEST_BYTES: Final = 32
_SUFFIX: Final = ".rows"
_PART: Final = ".part"
_ASIDE: Final = ".unreadable"


class SpooledFile(NamedTuple):
    """A file of the spool, and the rows in it."""

    path: Path
    rows: list[FlowRows]


class Spool:
    """The folder of one writer. Methods may be called from any thread.

    Args:
        folder: private to this spool; made with the first file.
        max_bytes: bound of all files together.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._sizes: dict[Path, int] = {}
        self._is_refused = False
        if folder.is_dir():
            self._find_files()

    def __len__(self) -> int:
        """Return the number of files that wait."""
        return len(self._sizes)

    def put(self, rows: Sequence[FlowRows]) -> bool:
        """Write one file with these rows. Return False, and log it once, if that is impossible."""
        payload = rows_as_bytes(rows)
        content = _MAGIC + _digest(payload) + payload
        with self._lock:
            used = sum(self._sizes.values())
            if used + len(content) > self._max_bytes:
                self._refuse(f"it holds {used} bytes, and may hold {self._max_bytes}")
                return False
            try:
                path = self._write(content)
            except OSError as exc:
                self._refuse(str(exc))
                return False
            self._is_refused = False
            self._sizes[path] = len(content)
        return True

    def oldest(self) -> SpooledFile | None:
        """Read the oldest file; those that cannot be read are set aside. None: none is left."""
        while True:
            with self._lock:
                path = min(self._sizes, default=None)
            if path is None:
                return None
            try:
                return SpooledFile(path, _rows(path.read_bytes()))
            except (OSError, ValueError) as exc:
                self._set_aside(path, exc)

    def remove(self, path: Path) -> None:
        """Delete a file whose rows are stored."""
        path.unlink(missing_ok=True)
        with self._lock:
            self._sizes.pop(path, None)

    def _find_files(self) -> None:
        """Take over what an earlier process left."""
        for path in self._folder.iterdir():
            if path.suffix == _SUFFIX and path.is_file():
                self._sizes[path] = path.stat().st_size
            elif path.suffix == _PART:
                # Its writer died before it relied on the file.
                path.unlink(missing_ok=True)
            elif path.suffix != _ASIDE:
                logger.warning("%s is no file of the spool and is left alone", path)
        if self._sizes:
            logger.warning("%d spooled files are stored now", len(self._sizes))

    def _write(self, content: bytes) -> Path:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        path = self._folder / f"{self._next_number():020d}{_SUFFIX}"
        part = path.with_suffix(_PART)
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        return path

    def _next_number(self) -> int:
        """Return the time in nanoseconds, or more: files are read in the order of their names."""
        newest = max((int(path.stem) for path in self._sizes if path.stem.isdecimal()), default=0)
        return max(time.time_ns(), newest + 1)

    def _refuse(self, reason: str) -> None:
        if not self._is_refused:
            logger.error("flows cannot be spooled to %s: %s", self._folder, reason)
        self._is_refused = True

    def _set_aside(self, path: Path, exc: Exception) -> None:
        aside = path.with_name(path.name + _ASIDE)
        logger.error("the spooled file %s is set aside as %s: %s", path, aside.name, exc)
        try:
            path.rename(aside)
        except OSError as failure:
            logger.warning("%s cannot be renamed: %s", path, failure)
        with self._lock:
            self._sizes.pop(path, None)


def _digest(payload: bytes) -> bytes:
    return blake2b(payload, digest_size=_DIGEST_BYTES).digest()


def _rows(content: bytes) -> list[FlowRows]:
    """Return the rows of a file's content. Raise ValueError for one that is damaged or foreign."""
    if not content.startswith(_MAGIC):
        raise ValueError("ccproxy did not write it")
    start = len(_MAGIC) + _DIGEST_BYTES
    payload = content[start:]
    if content[len(_MAGIC) : start] != _digest(payload):
        raise ValueError("it is truncated or damaged")
    return rows_of_bytes(payload)
