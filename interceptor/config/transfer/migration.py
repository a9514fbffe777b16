"""Creation, migration and filling of the database; needs the tables of every application."""

from __future__ import annotations

from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from interceptor.config.transfer.database_state import (
    DatabaseState,
    close_to_others,
    database_name,
    is_filled,
)
from interceptor.config.transfer.first_fill import fill
from interceptor.config.transfer.migration_steps import AppliedMigrations, Show
from interceptor.config.transfer.schema_gaps import repair
from providers.base.errors import ConfigError


def migrate(show: Show) -> DatabaseState:
    """Run the migrations that are missing, and fill a new database.

    The caller holds the lock of the database, or a process that waits for this one does. `show`
    gets the name of each migration as it begins.

    Raises:
        ConfigError: the database was made by a newer version.
    """
    pending = _pending()
    is_new = not connection.introspection.table_names()
    # Before the migrations: they read the columns that a database of an early version lacks.
    added = [] if is_new else repair()
    if not pending and not added:  # another process was faster
        return DatabaseState()
    told = AppliedMigrations(pending, show)
    call_command("migrate", verbosity=1, interactive=False, no_color=True, stdout=told)
    close_to_others()
    created = not is_filled()
    notes = [f"mended the database: {words}" for words in added]
    if created:
        notes += fill()
    return DatabaseState(created=created, migrated=not created, notes=tuple(notes))


def _pending() -> int:
    """Return the number of migrations to be run.

    Raises:
        ConfigError: the database has migrations that this version does not know.
    """
    executor = MigrationExecutor(connection)
    loader = executor.loader
    known = {
        *loader.disk_migrations,
        *(old for new in loader.disk_migrations.values() for old in new.replaces),
    }
    newer = [
        key
        for key in loader.applied_migrations
        if key[0] in loader.migrated_apps and key not in known
    ]
    if newer:
        app, name = sorted(newer)[-1]
        raise ConfigError(
            f"the database {database_name()} was made by a newer ccproxy ({app} {name}); update"
            " ccproxy"
        )
    return len(executor.migration_plan(loader.graph.leaf_nodes()))
