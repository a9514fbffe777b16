"""The database connections of this process, of all its threads, closed at its end.

SQLite moves what is left in its write-ahead log into the database when the last connection is
closed, and removes the log: the file alone is then a complete copy (https://sqlite.org/wal.html).
"""

from __future__ import annotations

import atexit
import logging
from typing import Any
from weakref import WeakSet

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

_opened: WeakSet[BaseDatabaseWrapper] = WeakSet()
logger = logging.getLogger(__name__)


def close_at_the_end() -> None:
    """Close every connection that is opened from now on when this process ends."""
    connection_created.connect(_note)
    atexit.register(_close_all)


def _note(connection: BaseDatabaseWrapper, **_: Any) -> None:
    _opened.add(connection)


def _close_all() -> None:
    for wrapper in list(_opened):
        # Django's own `close` is for the thread that opened it, which may be gone.
        if (connection := wrapper.connection) is not None:
            try:
                with wrapper.wrap_database_errors:
                    connection.close()
            except DatabaseError as exc:
                logger.warning("a database connection was not closed: %s", exc)
