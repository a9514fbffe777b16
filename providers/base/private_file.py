"""Files that only their owner can read, from their first byte."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

KEY_FILE_NAME: Final = "secret.key"
"""The keys of stored credentials, in the config directory."""


def write_private(path: Path, content: str | bytes) -> None:
    """Replace a file atomically. Readers see the old content or the new one, other users none."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    data = content.encode() if isinstance(content, str) else content
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    temporary.replace(path)
