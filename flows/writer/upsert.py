"""Inserts or replaces rows of a model with one prepared statement.

Django's `bulk_create` asks every field of every row how to be saved, which was a quarter of the CPU
time of a recorded request; here only the columns whose values need it are adapted. Works on SQLite
and on PostgreSQL.
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
"""All others hold a text, a number or a truth value, as drivers take them."""


@dataclass(frozen=True, slots=True)
class _Statement:
    """The SQL, how to read a row's values in its order, and which of them are adapted by what."""

    sql: str
    read: Callable[[dict[str, Any]], tuple[Any, ...]]
    adapters: tuple[tuple[int, Callable[[Any], Any]], ...]

    def values(self, row: models.Model) -> list[Any]:
        """The values of one row."""
        values = list(self.read(row.__dict__))
        for place, adapt in self.adapters:
            if values[place] is not None:
                values[place] = adapt(values[place])
        return values


def bare[Row: models.Model](model: type[Row], values: dict[str, Any]) -> Row:
    """A row to be written here, with the model's defaults: a fifth of a recorded flow's CPU time
    went into `__init__`.

    `values` go by column (`flow_id`); nobody is told of the new instance (`pre_init`).
    """
    row = model.__new__(model)
    row.__dict__ |= {**_defaults(model), **values, "_state": ModelState()}
    return row


@lru_cache
def _defaults(model: type[models.Model]) -> dict[str, Any]:
    """Default values by attribute; those that are made anew for each row have to be given."""
    made_anew = (dict, list)
    return {
        field.attname: None if field.default in made_anew else field.get_default()
        for field in _columns(model)
    }


def _columns(model: type[models.Model]) -> list[models.Field[Any, Any]]:
    return [
        field for field in model._meta.concrete_fields if not isinstance(field, models.AutoField)
    ]


def upsert(
    rows: Sequence[models.Model], key: tuple[str, ...], leave: frozenset[str] = frozenset()
) -> None:
    """Insert `rows` (all of one model); where a row with the same `key` columns is, replace all but
    `leave`.
    """
    if rows:
        statement = _statement(type(rows[0]), key, leave, connection.vendor)
        _execute(statement.sql, [statement.values(row) for row in rows])


def put(
    model: type[models.Model],
    columns: tuple[str, ...],
    values: Sequence[tuple[Any, ...]],
    *,
    key: tuple[str, ...],
    replace: bool,
) -> None:
    """Insert `values`, which a driver takes as they are; where a row with the same `key` is,
    replace or leave it.
    """
    if values:
        _execute(_insert(model, columns, key, columns if replace else ()), values)


def _execute(sql: str, values: Sequence[Sequence[Any]]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(sql, values)


@lru_cache
def _statement(
    model: type[models.Model], key: tuple[str, ...], leave: frozenset[str], vendor: str
) -> _Statement:
    del vendor
    columns = _columns(model)
    names = tuple(str(field.column) for field in columns)
    adapters = tuple(
        (place, _adapter(field))
        for place, field in enumerate(columns)
        if isinstance(field, _ADAPTED)
    )
    return _Statement(
        _insert(model, names, key, tuple(name for name in names if name not in leave)),
        itemgetter(*(field.attname for field in columns)),
        adapters,
    )


@lru_cache
def _insert(
    model: type[models.Model],
    columns: tuple[str, ...],
    key: tuple[str, ...],
    replaced: tuple[str, ...],
) -> str:
    """The SQL; all database engines here quote names in the same way."""
    quote = connection.ops.quote_name
    changes = ", ".join(
        f"{quote(name)} = EXCLUDED.{quote(name)}" for name in replaced if name not in key
    )
    into = f"{quote(model._meta.db_table)} ({', '.join(map(quote, columns))})"
    places = ", ".join(["%s"] * len(columns))
    conflict = (
        f"({', '.join(map(quote, key))}) DO {f'UPDATE SET {changes}' if changes else 'NOTHING'}"
    )
    return f"INSERT INTO {into} VALUES ({places}) ON CONFLICT {conflict}"  # noqa: S608


def _adapter(field: models.Field[Any, Any]) -> Callable[[Any], Any]:
    if connection.vendor == "sqlite" and isinstance(field, models.JSONField):
        return _json
    if connection.vendor == "sqlite" and isinstance(field, models.DateTimeField):
        return _sqlite_time
    return partial(_prepared, field)


def _json(value: Any) -> str:
    return json.dumps(value) if value != [] else "[]"


def _sqlite_time(value: datetime) -> str:
    """As Django writes it; asking the field takes ten times as long."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ")


def _prepared(field: models.Field[Any, Any], value: Any) -> Any:
    return field.get_db_prep_save(value, connection)
