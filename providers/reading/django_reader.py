"""Reads by plain SQL over Django's connection, for code that runs with and without Django."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import DatabaseError, connection

from providers.reading.database_reader import Row, UnreadableDatabase


def read(sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
    """Run one SELECT, whose parameters are written `%s`, and return all rows.

    Raises:
        UnreadableDatabase: the database is away, or has other tables.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())
    except DatabaseError as exc:
        raise UnreadableDatabase(f"cannot use the database: {exc}") from None
