"""Insert-or-replace of a model's rows with one prepared statement.

Django's `bulk_create` asks every field of every row how to be saved: a quarter of the CPU time of a
recorded request. Here only columns whose values need it are adapted. Works on SQLite and on
PostgreSQL.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from operator import itemgetter
from typing import Any

from django.db import connection, models
from django.db.models.base import ModelState

_ADAPTED = (
    models.JSONField,
    models.DateTimeField,
    models.DateField,
    models.DecimalField,
    models.BinaryField,
)
"""All others hold a text, a number or a boolean, as drivers accept them."""


@dataclass(frozen=True, slots=True)
class _Statement:
    """The SQL, a reader of a row's values in its order, and adapters by position."""

    sql: str
    read: Callable[[dict[str, Any]], tuple[Any, ...]]
    adapters: tuple[tuple[int, Callable[[Any], Any]], ...]

    def values(self, row: models.Model) -> list[Any]:
        """Return the values of one row as the driver accepts them."""
        values = list(self.read(row.__dict__))
        for position, adapt in self.adapters:
            value = values[position]
            if value is not None:
                values[position] = adapt(value)
        return values


def new_row[Row: models.Model](model: type[Row], values: dict[str, Any]) -> Row:
    """Return a row to be written by `upsert`, with the model's defaults.

    Skips `__init__`, which took a fifth of a recorded flow's CPU time, and the `pre_init` signals.
    `values` go by column (`flow_id`).
    """
    row = model.__new__(model)
    row.__dict__.update(_defaults(model))
    row.__dict__.update(values)
    row._state = ModelState()
    return row


@lru_cache
def _defaults(model: type[models.Model]) -> dict[str, Any]:
    """Return default values by attribute; lists and dicts have to be given for each row."""
    defaults: dict[str, Any] = {}
    for field in _columns(model):
        is_shared = field.default in (dict, list)
        defaults[field.attname] = None if is_shared else field.get_default()
    return defaults


def _columns(model: type[models.Model]) -> list[models.Field[Any, Any]]:
    fields = model._meta.concrete_fields
    return [field for field in fields if not isinstance(field, models.AutoField)]


def upsert(
    rows: Sequence[models.Model], key: tuple[str, ...], leave: frozenset[str] = frozenset()
) -> None:
    """Insert `rows`, all of one model.

    Where a row with the same `key` columns exists, all columns but `leave` are replaced.
    """
    if not rows:
        return
    statement = _statement(type(rows[0]), key, leave, connection.vendor)
    values = [statement.values(row) for row in rows]
    _execute(statement.sql, values)


def insert_values(
    model: type[models.Model],
    columns: tuple[str, ...],
    values: Sequence[tuple[Any, ...]],
    *,
    key: tuple[str, ...],
    replace: bool,
) -> None:
    """Insert `values`, which a driver accepts as they are.

    Where a row with the same `key` exists, `replace` decides whether it is replaced or stays.
    """
    if not values:
        return
    replaced = columns if replace else ()
    _execute(_insert(model, columns, key, replaced), values)


def _execute(sql: str, values: Sequence[Sequence[Any]]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(sql, values)


@lru_cache
def _statement(
    model: type[models.Model], key: tuple[str, ...], leave: frozenset[str], vendor: str
) -> _Statement:
    # A part of the cache's key: adapters differ by database.
    del vendor
    columns = _columns(model)
    names = tuple(str(field.column) for field in columns)
    replaced = tuple(name for name in names if name not in leave)
    read = itemgetter(*(field.attname for field in columns))
    adapters: list[tuple[int, Callable[[Any], Any]]] = []
    for position, field in enumerate(columns):
        if isinstance(field, _ADAPTED):
            adapters.append((position, _adapter(field)))
    return _Statement(_insert(model, names, key, replaced), read, tuple(adapters))


@lru_cache
def _insert(
    model: type[models.Model],
    columns: tuple[str, ...],
    key: tuple[str, ...],
    replaced: tuple[str, ...],
) -> str:
    """Return the SQL; both databases quote names in the same way."""
    quote = connection.ops.quote_name
    assignments = [
        f"{quote(name)} = EXCLUDED.{quote(name)}" for name in replaced if name not in key
    ]
    action = "NOTHING"
    if assignments:
        action = f"UPDATE SET {', '.join(assignments)}"
    table = quote(model._meta.db_table)
    names = ", ".join(map(quote, columns))
    placeholders = ", ".join(["%s"] * len(columns))
    key_names = ", ".join(map(quote, key))
    return (
        f"INSERT INTO {table} ({names}) VALUES ({placeholders}) "  # noqa: S608
        f"ON CONFLICT ({key_names}) DO {action}"
    )


def _adapter(field: models.Field[Any, Any]) -> Callable[[Any], Any]:
    if connection.vendor == "sqlite" and isinstance(field, models.JSONField):
        return _json
    if connection.vendor == "sqlite" and isinstance(field, models.DateTimeField):
        return _sqlite_time
    return partial(_prepared, field)


def _json(value: Any) -> str:
    return json.dumps(value) if value != [] else "[]"


def _sqlite_time(value: datetime) -> str:
    """Return a time as Django writes it; asking the field takes ten times as long."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ")


def _prepared(field: models.Field[Any, Any], value: Any) -> Any:
    return field.get_db_prep_save(value, connection)
