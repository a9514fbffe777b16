"""Secrets that this installation makes for itself, one a file, readable by its owner alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from providers.base.errors import ConfigError


def read_or_create_secret(path: Path) -> str:
    """Return the secret in `path`, which is made on first use.

    Raises:
        ConfigError: when the directory cannot be written or the file cannot be read.
    """
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(48))
        return path.read_text().strip()
    except FileExistsError:
        return path.read_text().strip()
    except OSError as exc:
        raise ConfigError(f"cannot use {path}: {exc.strerror}") from None
