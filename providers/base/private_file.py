"""Files that only their owner can read, from their first byte."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

KEY_FILE_NAME: Final = "secret.key"
"""The keys of stored credentials, in the config directory."""


def write_private(path: Path, content: str | bytes) -> None:
    """Replace a file atomically. Readers see the old content or the new one, other users none."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    data = content.encode() if isinstance(content, str) else content
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def create_private(path: Path, content: str) -> bool:
    """Write a file that is not there yet; of several that do so at once the first one wins.

    Readers see no file or all of it. The directory is made (0700) where there is none.

    Returns:
        False when the file is there already; it stays as it is.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
        return _link(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _link(temporary: str, path: Path) -> bool:
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:
        # Some file systems have no links; between these lines another process may come first.
        if path.exists():
            return False
        Path(temporary).replace(path)
    return True
