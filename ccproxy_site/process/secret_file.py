"""Secrets that this installation makes for itself, one a file, readable by its owner alone."""

from __future__ import annotations

import secrets
from pathlib import Path

from providers.base.errors import ConfigError
from providers.base.private_file import create_private


def read_or_create_secret(path: Path) -> str:
    """Return the secret in `path`, which is made on first use.

    Raises:
        ConfigError: when the directory cannot be written or the file cannot be read.
    """
    try:
        if not path.exists():
            create_private(path, secrets.token_urlsafe(48))
        return path.read_text().strip()
    except OSError as exc:
        raise ConfigError(f"cannot use {path}: {exc.strerror}") from None
