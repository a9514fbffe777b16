"""Check at every start that ccproxy's files are private to their owner.

The key must be so already; the modes of all others are corrected.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from providers.base.errors import ConfigError
from providers.base.keyring import Keyring

logger = logging.getLogger(__name__)

OPEN_TO_OTHERS = 0o077
MAX_DEPTH = 2
MAX_ENTRIES = 2000
"""Files below or beyond these limits are not ccproxy's; the directory itself keeps others out."""


def secure_files(directory: Path, key_file: Path, others: Iterable[Path] = ()) -> None:
    """Check the config directory and its files: database, logs, CA, tokens, login files.

    Args:
        directory: the config directory.
        key_file: the key that encrypts credentials. When others could read it, it is no secret any
            more, and only a person can decide what to do: that is refused, not repaired.
        others: further files of ours that lie elsewhere, such as a log.

    Raises:
        ConfigError: others can read the key, or the directory belongs to another user.
    """
    if key_file.exists():
        Keyring.open(key_file)
    if directory.stat().st_uid != os.geteuid():
        raise ConfigError(
            f"{directory} belongs to another user; choose a directory of your own:"
            " CCPROXY_CONFIG_DIR"
        )
    _close(directory)
    for path in (*_entries(directory), *others):
        _close(path)


def _entries(directory: Path) -> Iterator[Path]:
    """Yield files and folders, but no links: their targets have rules of their own."""
    count = 0
    for folder, names, files in os.walk(directory):
        depth = len(Path(folder).relative_to(directory).parts)
        if depth >= MAX_DEPTH - 1:
            names.clear()
        for name in (*names, *files):
            count += 1
            if count > MAX_ENTRIES:
                return
            yield Path(folder) / name


def _close(path: Path) -> None:
    try:
        status = path.lstat()
        mode = stat.S_IMODE(status.st_mode)
        if not mode & OPEN_TO_OTHERS or not (
            stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
        ):
            return
        if status.st_uid != os.geteuid():
            logger.warning("%s belongs to another user and is open to others (%o)", path, mode)
            return
        path.chmod(mode & ~OPEN_TO_OTHERS)
        logger.warning("%s was open to other users (%o); it is its owner's alone now", path, mode)
    except OSError as exc:
        logger.warning("cannot make %s private: %s", path, exc.strerror)
