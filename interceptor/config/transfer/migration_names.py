"""Names of migrations: those that this version brings, and those that a database has.

Django's own comparison imports every migration and builds their graph, which takes longer than most
commands. Equal names need no graph. No Django: commands that read without it ask here too.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from providers.reading.database_reader import Read, UnreadableDatabase

MigrationName = tuple[str, str]
"""Label of the application and name of the migration: `("flows", "0001_initial")`."""


def has_all_migrations(apps: Iterable[str], read: Read) -> bool:
    """Return True when the database has every migration of `apps` and no other of theirs.

    False also when squashed migrations make the names differ: only Django's graph knows those.
    """
    brought = brought_migrations(apps)
    labels = {label for label, _ in brought}
    return brought == {name for name in _applied(read) if name[0] in labels}


def brought_migrations(apps: Iterable[str]) -> set[MigrationName]:
    """Return the migrations that the applications bring."""
    return {name for app in apps for name in _brought_by(app)}


def _brought_by(app: str) -> set[MigrationName]:
    """Return the migrations in an application's folder, which is found without importing it.

    `"rest_framework.authtoken"` → `{("authtoken", "0001_initial"), …}`.
    """
    package, *inner = app.split(".")
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return set()
    label = app.rpartition(".")[2]
    folder = Path(spec.submodule_search_locations[0], *inner, "migrations")
    return {(label, path.stem) for path in folder.glob("[!_]*.py")}


def _applied(read: Read) -> set[MigrationName]:
    try:
        return {(app, name) for app, name in read("SELECT app, name FROM django_migrations")}
    except UnreadableDatabase:
        # A new database has no such table.
        return set()
