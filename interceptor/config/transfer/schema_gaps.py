"""Comparison of a database with the schema that its recorded migrations describe, and its repair.

Early versions changed migrations after they had been published. A database that such a version made
counts as migrated and lacks columns all the same: each insert would fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.apps.registry import Apps
from django.apps.registry import apps as registry
from django.db import connection, models
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import StateApps

from interceptor.config.transfer.database_state import database_name
from providers.base.errors import ConfigError

OUR_APPS = ("ccproxy_site", "flows", "interceptor", "providers", "shapes")


@dataclass(slots=True)
class TableGaps:
    """Differences of one table from its model.

    Attributes:
        model: the model, of today or of a state of the migrations.
        is_missing: there is no such table.
        fields: fields without a column.
        foreign_columns: columns that no field fills and that refuse an empty value.
        indexes: indexes that are missing, or have other columns.
    """

    model: type[models.Model]
    is_missing: bool = False
    fields: list[models.Field[Any, Any]] = field(default_factory=list)
    foreign_columns: list[str] = field(default_factory=list)
    indexes: list[models.Index] = field(default_factory=list)

    @property
    def words(self) -> str:
        """The differences: `no column ja3, ja4 in table flows_flow`; empty without any."""
        table = self.model._meta.db_table
        columns = ", ".join(str(one.column) for one in self.fields)
        if self.is_missing:
            return f"no table {table}"
        if columns:
            return f"no column {columns} in table {table}"
        if self.foreign_columns:
            return f"an unknown column {self.foreign_columns[0]} in table {table}"
        names = ", ".join(index.name for index in self.indexes)
        return f"no index {names} on table {table}" if names else ""


def repair() -> list[str]:
    """Add the tables, columns and indexes that the recorded migrations promise.

    Rows keep what they hold; a new column holds its field's default.

    Returns:
        what was missing, in words.
    """
    found = []
    for gaps in _gaps(_recorded_state(), with_indexes=True):
        # A table with columns of somebody else is not made anew: they would be lost.
        if gaps.words and not gaps.foreign_columns:
            found.append(gaps.words)
            _fill(gaps)
    return found


def misfit() -> str:
    """Return why this process's models cannot be written into the database; empty if they can."""
    return next((gaps.words for gaps in _gaps(registry) if gaps.words), "")


def refuse_misfit() -> None:
    """Reject a database that this process's models cannot be written into.

    Raises:
        ConfigError: the first table or column that does not fit.
    """
    if words := misfit():
        raise ConfigError(
            f"the database {database_name()} does not fit this version ({words}): restore a"
            " backup, or move it away to start with a new one"
        )


def _recorded_state() -> StateApps:
    loader = MigrationExecutor(connection).loader
    nodes = [node for node in loader.applied_migrations if node in loader.graph.nodes]
    return loader.project_state(nodes).apps


def _gaps(apps: Apps, *, with_indexes: bool = False) -> Iterator[TableGaps]:
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
    for model in _our_models(apps):
        if model._meta.db_table not in tables:
            yield TableGaps(model, is_missing=True)
            continue
        gaps = _column_gaps(model)
        if with_indexes:
            gaps.indexes = _index_gaps(model)
        yield gaps


def _our_models(apps: Apps) -> Iterator[type[models.Model]]:
    for model in apps.get_models(include_auto_created=True):
        meta = model._meta
        if meta.app_label in OUR_APPS and meta.managed and not meta.proxy:
            yield model


def _column_gaps(model: type[models.Model]) -> TableGaps:
    columns = _columns(model._meta.db_table)
    wanted = {one.column: one for one in model._meta.local_concrete_fields}
    foreign = [name for name, must in columns.items() if must and name not in wanted]
    missing = [one for name, one in wanted.items() if name not in columns]
    return TableGaps(model, fields=missing, foreign_columns=foreign)


def _columns(table: str) -> dict[str, bool]:
    """Return the columns of a table, each with True when an insert must name it."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            # Django's own description parses the table's SQL: 5 ms a table.
            cursor.execute(
                'SELECT name, "notnull" AND dflt_value IS NULL FROM pragma_table_info(%s)', [table]
            )
            return {name: bool(must) for name, must in cursor.fetchall()}
        found = connection.introspection.get_table_description(cursor, table)
    return {column.name: not column.null_ok and column.default is None for column in found}


def _index_gaps(model: type[models.Model]) -> list[models.Index]:
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, model._meta.db_table)
    column_of = {one.name: one.column for one in model._meta.local_concrete_fields}
    gaps = []
    for index in model._meta.indexes:
        constraint = found.get(index.name)
        columns = [column_of[name] for name, _ in index.fields_orders]
        if constraint is None or (columns and constraint["columns"] != columns):
            gaps.append(index)
    return gaps


def _fill(gaps: TableGaps) -> None:
    model = gaps.model
    with connection.schema_editor() as editor:
        if gaps.is_missing:
            editor.create_model(model)
            return
        for index in gaps.indexes:
            # One of that name may be there with other columns.
            editor.execute(f"DROP INDEX IF EXISTS {editor.quote_name(index.name)}")
        for one in gaps.fields:
            # Without a value for the rows that are there, the column stays missing: see misfit.
            if one.null or editor.effective_default(one) is not None:
                editor.add_field(model, one)
    # SQLite may make a table anew for a column, with all indexes of its model.
    remaining = _index_gaps(model)
    with connection.schema_editor() as editor:
        for index in remaining:
            editor.add_index(model, index)
