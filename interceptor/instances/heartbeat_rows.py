"""Heartbeats of the running interceptors, read by plain SQL. No Django."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from interceptor.instances.notices import is_fresh_at
from providers.reading.database_reader import Read, json_value, moment

_COLUMNS: Final = (
    "instance, started_at, heartbeat_at, endpoints, revision, refused_revision, refusal,"
    " restart_needed, writer_error, cooldowns"
)


class HeartbeatRow(NamedTuple):
    """Columns of a heartbeat that `ccproxy status` shows."""

    instance: str
    started_at: datetime
    heartbeat_at: datetime
    endpoints: dict[str, Any]
    revision: int
    refused_revision: int | None
    refusal: str
    restart_needed: list[Any]
    writer_error: str
    cooldowns: list[dict[str, Any]]


def running_rows(read: Read) -> list[HeartbeatRow]:
    """Return the heartbeats of the interceptors that are alive, oldest first."""
    now = datetime.now(UTC)
    # A few rows: those of dead processes are removed when others start.
    sql = f"SELECT {_COLUMNS} FROM interceptor_interceptorstatus ORDER BY started_at"  # noqa: S608
    rows = [_typed(HeartbeatRow(*row)) for row in read(sql)]
    return [row for row in rows if is_fresh_at(row, now)]


def _typed(row: HeartbeatRow) -> HeartbeatRow:
    return row._replace(
        started_at=moment(row.started_at),
        heartbeat_at=moment(row.heartbeat_at),
        endpoints=json_value(row.endpoints),
        restart_needed=json_value(row.restart_needed),
        cooldowns=json_value(row.cooldowns),
    )
