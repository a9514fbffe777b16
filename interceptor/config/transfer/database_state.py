"""Database of this process: its name, its file's mode, and the result of opening it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.apps import apps
from django.db import DatabaseError, connection

from providers.base.errors import ConfigError
from providers.reading.database_reader import database_name as name_of


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """Result of `ensure_database`. Notes are sentences for the user."""

    created: bool = False
    migrated: bool = False
    notes: tuple[str, ...] = ()


def database_name() -> str:
    """Return the database as people call it: a path, or name and host."""
    return name_of(connection.settings_dict)


def is_filled() -> bool:
    """Return True when a migrated database got its first rows.

    Each write of the configuration makes a revision, and so does the first filling.
    """
    # Looked up, because the process that migrates imports this before it has applications.
    return bool(apps.get_model("providers", "ConfigRevision").objects.exists())


def close_to_others() -> None:
    """Make the database file private: it holds prompts, and may be made with another umask."""
    if connection.vendor == "sqlite" and Path(database_name()).exists():
        Path(database_name()).chmod(0o600)


@contextmanager
def told_in_one_sentence(directory: Path) -> Iterator[None]:
    """Turn errors of the config directory and of the database into a ConfigError."""
    try:
        yield
    except OSError as exc:
        raise ConfigError(f"cannot use {exc.filename or directory}: {exc.strerror}") from None
    except DatabaseError as exc:
        raise ConfigError(f"cannot use the database {database_name()}: {exc}") from None
