"""Rows that many tests begin with: made once by the product's code, later put back by SQL."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

from django.apps import apps
from django.db import connection


class TableRows(NamedTuple):
    """Rows of a table as SQLite stores them, and the statement that inserts one."""

    insert: str
    rows: list[tuple[Any, ...]]


def made_once(app: str) -> Callable[[Callable[[], object]], Callable[[], None]]:
    """Decorate a function that fills an app's empty tables, with the same rows each time.

    The first call of a process keeps the rows, and the next ones insert them: a fifth of a second
    becomes a few milliseconds. Tables that hold rows, and other databases than SQLite, which would
    not go on counting behind the inserted keys, get them from the function.
    """

    def decorate(seed: Callable[[], object]) -> Callable[[], None]:
        kept: list[TableRows] = []

        @wraps(seed)
        def seed_or_copy() -> None:
            if connection.vendor != "sqlite" or any(each.rows for each in _rows_of(app)):
                seed()
            elif kept:
                _insert(kept)
            else:
                seed()
                kept.extend(each for each in _rows_of(app) if each.rows)

        return seed_or_copy

    return decorate


def _rows_of(app: str) -> list[TableRows]:
    return [
        _read(
            model._meta.db_table, [str(field.column) for field in model._meta.local_concrete_fields]
        )
        for model in apps.get_app_config(app).get_models(include_auto_created=True)
    ]


def _read(table: str, columns: list[str]) -> TableRows:
    quoted = [connection.ops.quote_name(column) for column in columns]
    # A plus keeps the stored value: the driver converts what comes from a column of a known type.
    stored = ", ".join(f"+{column}" for column in quoted)
    marks = ", ".join("%s" for _ in columns)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {stored} FROM {table}")
        rows = cursor.fetchall()
    return TableRows(f"INSERT INTO {table} ({', '.join(quoted)}) VALUES ({marks})", rows)


def _insert(kept: list[TableRows]) -> None:
    with connection.cursor() as cursor:
        for each in kept:
            cursor.executemany(each.insert, each.rows)
