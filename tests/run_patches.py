"""Changes to Django and to the product that last as long as a test run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management.color import Style
from django.core.management.commands import flush
from django.template import Context
from django.template.base import Template
from django.test.signals import template_rendered
from django.utils.safestring import SafeString
from whitenoise.middleware import WhiteNoiseMiddleware

from flows.queries.jq import JqLimits
from tests.patience import PATIENCE_S

MADE_ONCE = (ContentType._meta.db_table, Permission._meta.db_table)


@contextmanager
def static_files_found_once() -> Iterator[None]:
    """Each test client builds the middleware anew, which looks at every static file."""
    found: dict[str, Any] = {}
    find = WhiteNoiseMiddleware.add_files_from_finders

    def add_files(middleware: WhiteNoiseMiddleware) -> None:
        if not found:
            find(middleware)
            found.update(middleware.files)
        middleware.files.update(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", add_files)
        yield


@contextmanager
def contexts_of_whole_pages() -> Iterator[None]:
    """Note the context of a page at its response, and of no template that is included in it.

    Django notes each of them with a copy of its context: forty a page.
    """

    def render(template: Template, context: Context) -> SafeString:
        if context.template is template:
            template_rendered.send(sender=template, template=template, context=context)
        return template.nodelist.render(context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Template, "_render", render)
        yield


@contextmanager
def rights_made_once() -> Iterator[None]:
    """Keep the rows of models and their rights when a test with transactions empties the tables.

    Django would make them anew each time, which takes longer than emptying all tables.
    """

    def statements(style: Style, database: Any, **options: bool) -> list[str]:
        names = database.introspection.django_table_names(only_existing=True, include_views=False)
        emptied = [name for name in names if name not in MADE_ONCE]
        if database.vendor == "postgresql" and not options.get("reset_sequences"):
            return deletions(database, emptied)
        found: list[str] = database.ops.sql_flush(style, emptied, **options)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush, "sql_flush", statements)
        patch.setattr(flush, "emit_post_migrate_signal", lambda *_: None)
        yield


def deletions(database: Any, tables: list[str]) -> list[str]:
    """Return the statements that empty those of the tables that have rows, on PostgreSQL.

    TRUNCATE makes new files for each table and each of its indexes, whatever is in them.
    """
    looks = [
        f"SELECT '{table}' WHERE EXISTS (SELECT FROM {database.ops.quote_name(table)})"
        for table in tables
    ]
    with database.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(looks))
        filled = [database.ops.quote_name(name) for (name,) in cursor.fetchall()]
    # In this role no row asks if another one needs it.
    return [
        "SET LOCAL session_replication_role = replica",
        *(f"DELETE FROM {name}" for name in filled),
        "SET LOCAL session_replication_role = DEFAULT",
    ]


@contextmanager
def patient_jq() -> Iterator[None]:
    """A busy machine may need more than three seconds to start the process of a filter."""
    usual = JqLimits()

    def timeout_for_s(limits: JqLimits, size_bytes: int) -> float:
        is_usual = limits.timeout_s == usual.timeout_s
        return PATIENCE_S if is_usual else chosen_s(limits, size_bytes)

    chosen_s = JqLimits.timeout_for_s
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JqLimits, "timeout_for_s", timeout_for_s)
        yield


class _Loggers(dict[str, Any]):
    """Loggers by name; `values` are those of the moment."""

    def values(self) -> Any:
        # One step for other threads, unlike a loop over the view.
        return [*super().values()]


@contextmanager
def loggers_made_meanwhile() -> Iterator[None]:
    """Let threads of a test make loggers while pytest looks at all of them.

    It does so three times a test, without the lock of `logging`: “dictionary changed size during
    iteration”.
    """
    manager = logging.Logger.manager
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manager, "loggerDict", _Loggers(manager.loggerDict))
        yield
