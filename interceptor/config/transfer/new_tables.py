"""Tables of a new SQLite database, made from prepared statements instead of by the migrations.

The migrations take two seconds of CPU time: most of a first start. `new_tables.sql` holds what they
make, one statement a line: tables, indexes, and the rows that they insert. `make tables` writes it
anew after a new migration; a test compares it with a migrated database.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import DatabaseError, connection, transaction

from interceptor.config.transfer.migration_names import MigrationName, brought_migrations

STATEMENTS_FILE: Final = Path(__file__).with_name("new_tables.sql")
_APPLIED: Final = re.compile(
    r"^INSERT INTO \"django_migrations\" VALUES\(\d+,'(\w+)','(\w+)',", re.MULTILINE
)


def make_new_tables() -> bool:
    """Make the tables of an empty SQLite database as this version's migrations would.

    The caller holds the lock of the database.

    Returns:
        False where migrations have to run. All of them: the database has tables or is no SQLite
        file. Those behind the statements: `make tables` was forgotten.
    """
    if connection.vendor != "sqlite" or connection.introspection.table_names():
        return False
    text = STATEMENTS_FILE.read_text()
    made, brought = made_by(text), brought_migrations(settings.CCPROXY_MIGRATED_APPS)
    if not made <= brought:
        return False
    try:
        _run(text.splitlines())
    except DatabaseError:
        # This machine's SQLite may lack what a migration uses where it is there.
        return False
    return made == brought


def _run(statements: list[str]) -> None:
    # One transaction: a start that is killed leaves an empty database.
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def made_by(statements: str) -> set[MigrationName]:
    """Return the migrations that the statements stand for, which they record as applied."""
    return {(app, name) for app, name in _APPLIED.findall(statements)}
