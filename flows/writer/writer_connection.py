"""The writing thread's own connection, with the options that writing needs."""

from __future__ import annotations

import time

from django.db import close_old_connections, connection

BUSY_TIMEOUT_MS = 500
"""SQLite's wait for a lock, after which the thread goes back to preparing and asks again."""

_CHECKPOINT_PAGES = 4000
"""Size of SQLite's write-ahead log, 16 MB, before it goes into the file.

Ids and digests are random, so the same pages are written again and again. With the usual 1000 pages
a flow cost 0.02 ms more in a record of 20,000.
"""

_CHECK_EVERY_S = 60.0


class WriterConnection:
    """Django's connection of the thread that calls `check`."""

    def __init__(self, busy_timeout_ms: int) -> None:
        self._busy_timeout_ms = busy_timeout_ms
        self._check_at = 0.0
        # The database's own object that has the options: Django may open another one.
        self._prepared: object = None

    def check(self) -> None:
        """Close a connection that has failed or is too old; give SQLite's new one its options.

        Raises:
            OperationalError: the database does not answer.
        """
        if time.monotonic() >= self._check_at:
            close_old_connections()
            self._check_at = time.monotonic() + _CHECK_EVERY_S
        if connection.vendor != "sqlite":
            return
        connection.ensure_connection()
        if connection.connection is not self._prepared:
            with connection.cursor() as cursor:
                cursor.execute(f"PRAGMA busy_timeout = {self._busy_timeout_ms}")
                cursor.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            self._prepared = connection.connection
