"""Database at the start of every command: created, migrated and filled as needed."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from interceptor.config.files.defaults import with_defaults
from interceptor.config.files.document import Document
from interceptor.config.files.server import CONFIG_FILE_NAME
from interceptor.config.files.template import write_template
from interceptor.config.files.whole_file import ConfigFile, Sections, read_config_file
from interceptor.config.transfer.importer import import_sections, refuse_unsafe_file
from interceptor.config.transfer.rows import ImportReport
from providers.base.errors import ConfigError
from providers.base.file_lock import FileLock

_MARK_FILE = ".imported"


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """Result of `ensure_database`. Notes are sentences for the user."""

    created: bool = False
    migrated: bool = False
    notes: tuple[str, ...] = ()


def ensure_database() -> DatabaseState:
    """Create the database when it is missing, migrate it when it is behind, fill a new one.

    A new one also gets the commented `ccproxy.yaml` beside it, unless there is one.

    A migration runs in a transaction and leaves the recorded flows alone. Several processes may
    call this at once.

    Raises:
        ConfigError: the directory or database cannot be used, or was made by a newer version.
    """
    os.umask(0o077)
    directory = Path(settings.CONFIG_DIR)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _pending():
            _close_to_others()
            return DatabaseState(notes=_unread_sections())
        with FileLock(directory / "database.lock"):
            return _upgrade()
    except OSError as exc:
        raise ConfigError(f"cannot use {exc.filename or directory}: {exc.strerror}") from None
    except DatabaseError as exc:
        raise ConfigError(f"cannot use the database {database_name()}: {exc}") from None


def database_name() -> str:
    """Return the database as people call it: a path, or name and host."""
    config = connection.settings_dict
    if connection.vendor == "sqlite":
        return str(config["NAME"])
    return f"{config['NAME']} at {config['HOST'] or 'localhost'}"


def mark_imported(sections: Sections) -> None:
    """Remember that the sections of the config directory's own file were read into the database."""
    (Path(settings.CONFIG_DIR) / _MARK_FILE).write_text(_digest(sections) + "\n")


def _upgrade() -> DatabaseState:
    if not _pending():  # another process was faster
        return DatabaseState()
    created = not connection.introspection.table_names()
    if created:
        write_template(Path(settings.CONFIG_DIR) / CONFIG_FILE_NAME)
    call_command("migrate", verbosity=0, interactive=False)
    _close_to_others()
    return DatabaseState(
        created=created, migrated=not created, notes=tuple(_fill()) if created else ()
    )


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


def _close_to_others() -> None:
    """Make the database file private: it holds prompts, and may be made with another umask."""
    if connection.vendor == "sqlite" and Path(database_name()).exists():
        Path(database_name()).chmod(0o600)


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


def _unread_sections() -> tuple[str, ...]:
    """Return a note when the file's sections were edited since they were last imported."""
    path = Path(settings.CONFIG_DIR) / CONFIG_FILE_NAME
    if not path.exists():
        return ()
    file: ConfigFile = read_config_file(path)
    mark = Path(settings.CONFIG_DIR) / _MARK_FILE
    if not file.sections or (mark.exists() and mark.read_text().strip() == _digest(file.sections)):
        return ()
    return (
        (
            f"the providers, rules or hooks in {path} are not in the database; apply them with:"
            " ccproxy importconfig"
        ),
    )


def _digest(sections: Sections) -> str:
    return hashlib.sha256(repr(sections).encode()).hexdigest()
