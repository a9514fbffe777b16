"""Database at the start of every command: created, migrated and filled as needed."""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings
from django.db import connection

from interceptor.config.transfer.database_state import (
    DatabaseState,
    close_to_others,
    database_name,
    is_filled,
    told_in_one_sentence,
)
from interceptor.config.transfer.migration_names import has_all_migrations
from interceptor.config.transfer.new_tables import make_new_tables
from interceptor.config.transfer.schema_gaps import misfit, refuse_misfit
from providers.base.file_lock import FileLock
from providers.reading.django_reader import read


def ensure_database(*, check_columns: bool = False) -> DatabaseState:
    """Create the database when it is missing, migrate it when it is behind, fill a new one.

    A new one also gets the commented `ccproxy.yaml` beside it, unless there is one.

    A migration runs in a transaction and leaves the recorded flows alone. Several processes may
    call this at once.

    Args:
        check_columns: look at the tables as well as at the names of the migrations, and add what
            is missing. It takes a few milliseconds.

    Raises:
        ConfigError: the directory or database cannot be used, or was made by a newer version,
            or its tables do not fit this one.
    """
    os.umask(0o077)
    directory = Path(settings.CONFIG_DIR)
    with told_in_one_sentence(directory):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _open_new(directory)
        if _has_tables(check_columns=check_columns) and is_filled():
            close_to_others()
            return DatabaseState()
        with FileLock(directory / "database.lock"):
            # Another process may have made them while this one waited.
            state = _filled() if _has_tables(check_columns=check_columns) else _migrated()
        if check_columns:
            refuse_misfit()
        return state


def _has_tables(*, check_columns: bool) -> bool:
    """Return whether the tables are those of this version."""
    if not has_all_migrations(settings.CCPROXY_MIGRATED_APPS, read):
        return False
    return not (check_columns and misfit())


def _open_new(directory: Path) -> None:
    """Connect to a SQLite file that is not there yet, one process after the other.

    The first connection changes its journal's mode. SQLite does not wait with that for another
    process, but says "database is locked" at once.
    """
    if connection.vendor != "sqlite":
        return
    file = Path(database_name())
    if not file.exists() or not file.stat().st_size:
        with FileLock(directory / "database.lock"):
            connection.ensure_connection()


def _migrated() -> DatabaseState:
    if make_new_tables():
        close_to_others()
        return _filled()
    # Imported only here: most commands find the database up to date.
    if not settings.CCPROXY_CAN_MIGRATE:
        from interceptor.config.transfer.migration_process import migrate_in_process

        return migrate_in_process()
    from interceptor.config.transfer.migration import migrate
    from interceptor.config.transfer.migration_steps import step_line

    with step_line() as show:
        return migrate(show)


def _filled() -> DatabaseState:
    # A start that was refused or killed between the migrations and the filling left this to do.
    from interceptor.config.transfer.first_fill import fill

    return DatabaseState() if is_filled() else DatabaseState(created=True, notes=tuple(fill()))
