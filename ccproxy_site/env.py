"""Typed reading of environment variables."""

from __future__ import annotations

import os
from pathlib import Path


def env_bool(name: str, default: bool = False) -> bool:
    """Return True for 1, true, yes and on."""
    value = os.environ.get(name, "").strip().lower()
    if not value:
        return default
    return value in {"1", "true", "yes", "on"}


def env_secret(name: str) -> str:
    """Return the secret from NAME, or from the file that NAME_FILE names."""
    # Compose and systemd hand secrets out as files, which no `ps` or `docker inspect` shows.
    path = os.environ.get(f"{name}_FILE")
    if path:
        return Path(path).read_text().strip()
    return os.environ.get(name, "")
