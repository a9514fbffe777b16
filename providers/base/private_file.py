"""Files that only their owner can read, from their first byte."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

KEY_FILE_NAME: Final = "secret.key"
"""The keys of stored credentials, in the config directory."""


def write_private(path: Path, text: str) -> None:
    """Replace a file atomically. Readers see the old text or the new one, other users none."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)
