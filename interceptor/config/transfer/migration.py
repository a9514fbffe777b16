"""Creation, migration and filling of the database; needs every application."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from interceptor.config.files.defaults import with_defaults
from interceptor.config.files.directory import CONFIG_FILE_NAME
from interceptor.config.files.document import Document
from interceptor.config.files.template import write_template
from interceptor.config.files.whole_file import Sections, read_config_file
from interceptor.config.transfer.database_state import (
    DatabaseState,
    close_to_others,
    database_name,
)
from interceptor.config.transfer.import_mark import mark_imported
from interceptor.config.transfer.importer import import_sections, refuse_unsafe_file
from interceptor.config.transfer.rows import ImportReport
from interceptor.config.transfer.schema_gaps import repair
from providers.base.errors import ConfigError


def migrate() -> DatabaseState:
    """Run the migrations that are missing, and fill a new database.

    The caller holds the lock of the database, or a process that waits for this one does.

    Raises:
        ConfigError: the database was made by a newer version.
    """
    pending = _pending()
    created = not connection.introspection.table_names()
    # Before the migrations: they read the columns that a database of an early version lacks.
    added = [] if created else repair()
    if not pending and not added:  # another process was faster
        return DatabaseState()
    if created:
        write_template(Path(settings.CONFIG_DIR) / CONFIG_FILE_NAME)
    call_command("migrate", verbosity=0, interactive=False)
    close_to_others()
    notes = _fill() if created else [f"mended the database: {words}" for words in added]
    return DatabaseState(created=created, migrated=not created, notes=tuple(notes))


def _pending() -> bool:
    """Return True when migrations are to be run.

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
    return bool(executor.migration_plan(loader.graph.leaf_nodes()))


def _fill() -> list[str]:
    """Import the providers, rules and hooks of `ccproxy.yaml`, and the defaults for what it does
    not mention.
    """
    path = Path(settings.CONFIG_DIR) / CONFIG_FILE_NAME
    file = read_config_file(path) if path.exists() else None
    document = file.document if file else Document(source="the built-in defaults")
    sections = file.sections if file else Sections()
    if sections:
        refuse_unsafe_file(path, sections)
    report = import_sections(with_defaults(sections), document)
    if sections:
        mark_imported(sections)
    return [_summary(report, path), *report.notes] if sections else []


def _summary(report: ImportReport, path: Path) -> str:
    providers = sum(change.what.startswith("provider ") for change in report.changes)
    rules = sum(change.what.startswith("rule ") for change in report.changes)
    return f"imported {providers} providers and {rules} rules from {path}"
