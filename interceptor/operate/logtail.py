"""End of the log file, and the lines that are added to it. No Django."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import BinaryIO

from interceptor.config.files.server import ServerSettings
from providers.base.errors import CcproxyError

_BLOCK_BYTES = 64 * 1024
_POLL_S = 0.2


def log_file(settings: ServerSettings, directory: Path) -> Path:
    """Return the path of the log file.

    Raises:
        CcproxyError: there is none; the message says where the log is.
    """
    path = settings.log_path(directory)
    if path is not None and path.is_file():
        return path
    if settings.use_journal:
        raise CcproxyError(
            f"the log is in the journal: journalctl --user -t {settings.journal_name(directory)}"
        )
    if path is None:
        raise CcproxyError("log_file is null in ccproxy.yaml, so there is no log file")
    raise CcproxyError(f"there is no log at {path} yet; it is written by: ccproxy start")


def show(path: Path, output: BinaryIO, *, lines: int | None, follow: bool) -> None:
    """Write the last `lines` lines (None: all), then what is added until interrupted."""
    file: BinaryIO = path.open("rb")
    try:
        file.seek(tail_offset(file, lines))
        while block := file.read(_BLOCK_BYTES):
            output.write(block)
        output.flush()
        while follow:
            file = reopened(path, file)
            if block := file.read(_BLOCK_BYTES):
                output.write(block)
                output.flush()
            else:
                time.sleep(_POLL_S)
    finally:
        file.close()


def reopened(path: Path, file: BinaryIO) -> BinaryIO:
    """Return the file to read on from.

    That is a new one once `path` was rotated away and the old one is read to its end.
    """
    status = os.fstat(file.fileno())
    if file.tell() < status.st_size:
        return file
    if file.tell() > status.st_size:  # truncated in place
        file.seek(0)
        return file
    try:
        if path.stat().st_ino == status.st_ino:
            return file
        new = path.open("rb")
    except OSError:  # between the rotation and the next line
        return file
    file.close()
    return new


def tail_offset(file: BinaryIO, lines: int | None) -> int:
    """Return the offset at which the last `lines` lines begin.

    It reads blocks from the end, because a log may be long.
    """
    if lines is None:
        return 0
    end = position = file.seek(0, os.SEEK_END)
    if lines == 0:
        return end
    wanted = lines
    if end and file.seek(end - 1) >= 0 and file.read(1) == b"\n":
        wanted += 1  # the last line's own end
    while position > 0:
        size = min(_BLOCK_BYTES, position)
        position -= size
        file.seek(position)
        block = file.read(size)
        found = block.count(b"\n")
        if found >= wanted:
            index = len(block)
            for _ in range(wanted):
                index = block.rindex(b"\n", 0, index)
            return position + index + 1
        wanted -= found
    return 0
