"""Rows of a running installation, put back between modules that share it."""

from __future__ import annotations

from django.apps import apps
from django.db import connection, transaction

from flows.writer.retention import delete_everything
from interceptor.models import InterceptorStatus
from providers.models import ConfigRevision

OF_PROCESSES = (InterceptorStatus, ConfigRevision)
"""Rows that say what runs now: they stay."""


def put_back(kept: str) -> None:
    """Empty the record, and fill the other tables with the rows of the database at path `kept`."""
    delete_everything()
    with connection.cursor() as cursor:
        cursor.execute("ATTACH DATABASE %s AS kept", [kept])
        with connection.constraint_checks_disabled(), transaction.atomic():
            for table in _tables():
                cursor.execute(f'DELETE FROM main."{table}"')
                cursor.execute(f'INSERT INTO main."{table}" SELECT * FROM kept."{table}"')
            # Addresses of pages name keys, which then count from the same number again.
            cursor.execute("DELETE FROM main.sqlite_sequence")
            cursor.execute("INSERT INTO main.sqlite_sequence SELECT * FROM kept.sqlite_sequence")
        cursor.execute("DETACH DATABASE kept")
    ConfigRevision.bump()


def _tables() -> list[str]:
    models = apps.get_models(include_auto_created=True)
    managed = [model for model in models if model._meta.managed and not model._meta.proxy]
    return sorted({model._meta.db_table for model in managed if model not in OF_PROCESSES})
