"""`python -m tests.new_tables`: writes anew the statements that make the tables of a new database.

To be run after a new migration; tests/interceptor/config/transfer/test_new_tables.py tells.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from interceptor.config.transfer.new_tables import STATEMENTS_FILE
from tests.new_database import migrate


def statements_of(path: Path) -> list[str]:
    """Return the statements that make a database with the same tables, indexes and rows."""
    with closing(sqlite3.connect(path)) as database:
        return list(_statements(database))


def _statements(database: sqlite3.Connection) -> Iterator[str]:
    kinds = dict(database.execute("SELECT name, type FROM pragma_table_list WHERE schema = 'main'"))
    # Tables before their indexes; sorted, so that a new migration changes few lines.
    found = database.execute(
        "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
        " ORDER BY type != 'table', type, tbl_name, name"
    )
    for name, sql in found.fetchall():
        if _is_ours(name, kinds):
            yield f"{' '.join(sql.split())};"
    for name, kind in sorted(kinds.items()):
        if kind == "table" and _is_ours(name, kinds):
            yield from _rows(database, name)


def _is_ours(name: str, kinds: dict[str, str]) -> bool:
    """Return False for what SQLite makes by itself: its own tables, and those of virtual ones."""
    return not name.startswith("sqlite_") and kinds.get(name) != "shadow"


def _rows(database: sqlite3.Connection, table: str) -> Iterator[str]:
    columns = [name for _, name, *_ in database.execute(f'PRAGMA table_info("{table}")')]
    values = " || ',' || ".join(map(_literal, columns))
    for (row,) in database.execute(f'SELECT {values} FROM "{table}" ORDER BY rowid'):
        yield f'INSERT INTO "{table}" VALUES({row});'


def _literal(column: str) -> str:
    """Return the SQL expression for the column's value as it stands in a statement."""
    # The time of a migration is that of the database's start.
    return "'CURRENT_TIMESTAMP'" if column == "applied" else f'quote("{column}")'


def main() -> None:
    """Migrate a new database, and write its statements."""
    with tempfile.TemporaryDirectory() as folder:
        migrate(Path(folder))
        statements = statements_of(Path(folder) / "ccproxy.sqlite3")
    STATEMENTS_FILE.write_text("".join(f"{statement}\n" for statement in statements))


if __name__ == "__main__":
    main()
