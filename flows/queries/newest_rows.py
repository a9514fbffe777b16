"""Newest flows as the shell lists them, read by plain SQL. No Django."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from flows.lookup_method import LOOKUP
from providers.reading.database_reader import Read, moment

_COLUMNS: Final = "id, state, started_at, method, host, path, status_code, user_agent"
_NEWEST: Final = f"""
SELECT {_COLUMNS} FROM flows_flow
WHERE method <> '{LOOKUP}' ORDER BY started_at DESC, id DESC LIMIT %s
"""  # noqa: S608  # constants of this module


class ListedFlow(NamedTuple):
    """Columns of a flow that the table of `ccproxy flows list` shows."""

    id: str
    state: str
    started_at: datetime
    method: str
    host: str
    path: str
    status_code: int | None
    user_agent: str


def newest_rows(read: Read, number: int) -> list[ListedFlow]:
    """Return the newest flows without name lookups, oldest of them first."""
    rows = [ListedFlow(*row) for row in read(_NEWEST, [number])]
    rows.reverse()
    return [row._replace(started_at=moment(row.started_at)) for row in rows]


def count_flows(read: Read) -> int:
    """Return the number of recorded flows."""
    return int(read("SELECT COUNT(*) FROM flows_flow")[0][0])
