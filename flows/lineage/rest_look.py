"""Look of a thread at rest: one statement tells if anything waits for links or an index.

The looks of a thread that works compile five queries, on a connection that is opened anew. At rest
that was most of the CPU time of all processes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from flows.lineage.linker import pending
from flows.search.indexer import waiting
from flows.search.postings import SEGMENT_FLOWS
from flows.search.segment_rows import without_segment


class RestLook:
    """A question to the database, on a connection that stays open between two looks.

    Args:
        open_connection: opens the calling thread's connection where it is closed, or where the
            database's file was replaced.
    """

    def __init__(self, open_connection: Callable[[], object]) -> None:
        self._open_connection = open_connection

    def finds_work(self) -> bool:
        """Return whether flows wait for a link or a text, or enough of them for a segment.

        Raises:
            DatabaseError: the database does not answer.
        """
        self._open_connection()
        statement, values = _question(connection.alias)
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            (found,) = cursor.fetchone()
        return bool(found)


@cache
def _question(alias: str) -> tuple[str, tuple[Any, ...]]:
    """Return the statement for a database, and its values.

    Compiled once: `SELECT EXISTS (…) OR EXISTS (…) OR EXISTS (…)`, each of a partial index.
    """
    last = SEGMENT_FLOWS - 1
    rows = (
        pending().order_by()[:1],
        waiting().order_by()[:1],
        without_segment().order_by()[last : last + 1],
    )
    parts = [_sql(flows.using(alias)) for flows in rows]
    conditions = " OR ".join(f"EXISTS ({sql})" for sql, _ in parts)
    return f"SELECT {conditions}", tuple(value for _, values in parts for value in values)


def _sql(rows: QuerySet[Any]) -> tuple[str, tuple[Any, ...]]:
    sql, values = rows.values("pk").query.get_compiler(rows.db).as_sql()
    return sql, tuple(values)
