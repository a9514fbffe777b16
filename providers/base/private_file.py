"""Files that only their owner can read, from their first byte."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

KEY_FILE_NAME: Final = "secret.key"
"""The keys of stored credentials, in the config directory."""


def write_private(path: Path, content: str | bytes) -> None:
    """Replace a file atomically. Readers see the old content or the new one, other users none."""
    data = content.encode() if isinstance(content, str) else content
    with _written_beside(path, data) as temporary:
        temporary.replace(path)


def create_private(path: Path, content: str) -> bool:
    """Write a file that is not there yet; of several that do so at once the first one wins.

    Readers see no file or all of it. The directory is made (0700) where there is none.

    Returns:
        False when the file is there already; it stays as it is.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _written_beside(path, content.encode()) as temporary:
        return _link(temporary, path)


@contextmanager
def _written_beside(path: Path, data: bytes) -> Iterator[Path]:
    """Give a complete file in the folder of `path`; it is removed unless it was moved away."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _link(temporary: Path, path: Path) -> bool:
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:
        # Some file systems have no links; between these lines another process may come first.
        if path.exists():
            return False
        temporary.replace(path)
    return True
