"""Reads of the database by plain SQL, without Django.

Importing Django costs a command more time than all it reads.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from providers.reading.database_reader import (
    Read,
    Row,
    UnreadableDatabase,
    database_name,
    is_sqlite,
)

_SQLITE_BUSY_S: Final = 5.0
_CONNECT_S: Final = 5


@contextmanager
def reading(entry: Mapping[str, Any]) -> Iterator[Read]:
    """Yield a reader of the database that an entry of Django's `DATABASES` names.

    Raises:
        UnreadableDatabase: it cannot be opened, or a read fails. It is never created.
    """
    if is_sqlite(entry):
        with _sqlite(str(entry["NAME"])) as read:
            yield read
    else:
        with _postgresql(entry) as read:
            yield read


@contextmanager
def _sqlite(path: str) -> Iterator[Read]:
    # `mode=ro` neither creates the file nor lets a statement change it.
    address = f"{Path(path).absolute().as_uri()}?mode=ro"
    try:
        connection = sqlite3.connect(address, uri=True, timeout=_SQLITE_BUSY_S)
    except sqlite3.Error as exc:
        raise UnreadableDatabase(f"cannot read the database {path}: {exc}") from None

    def read(sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        try:
            return connection.execute(sql.replace("%s", "?"), parameters).fetchall()
        except sqlite3.Error as exc:
            raise UnreadableDatabase(f"cannot read the database {path}: {exc}") from None

    try:
        yield read
    finally:
        connection.close()


@contextmanager
def _postgresql(entry: Mapping[str, Any]) -> Iterator[Read]:
    # Imported only here: with SQLite, no command needs it.
    import psycopg

    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host"}
    names["PORT"] = "port"
    parts = {libpq: str(entry[key]) for key, libpq in names.items() if entry.get(key)}
    options = {"connect_timeout": _CONNECT_S, **entry.get("OPTIONS", {}), **parts}
    try:
        connection = psycopg.connect(**options, autocommit=True)
    except psycopg.Error as exc:
        raise UnreadableDatabase(f"cannot read {database_name(entry)}: {exc}") from None

    def read(sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        try:
            # The statements are constants of ours; psycopg's type only accepts literals.
            return connection.execute(sql.encode(), parameters).fetchall()
        except psycopg.Error as exc:
            raise UnreadableDatabase(f"cannot read {database_name(entry)}: {exc}") from None

    try:
        yield read
    finally:
        connection.close()
