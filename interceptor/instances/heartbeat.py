"""Heartbeat rows of the instances that one process speaks for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from flows.upsert import new_row, upsert
from interceptor.models import InterceptorStatus

STALE_AFTER: Final = timedelta(minutes=5)
"""Rows of killed processes that are older than this are removed."""

Facts = Mapping[str, Any]
"""Values of a row by column: `{"active_flows": 3}`."""


class Heartbeats:
    """Writes the rows, and removes the row of an instance that left.

    Args:
        version: the product's version.
        endpoints: addresses, for an instance whose facts name none.
    """

    def __init__(self, *, version: str, endpoints: Mapping[str, Any]) -> None:
        self._version = version
        self._endpoints = dict(endpoints)
        self._started: dict[str, datetime] = {}

    def write(self, instances: Mapping[str, Facts], common: Facts) -> None:
        """Write one row for each of `instances`, by name; their facts win over `common`.

        Raises:
            DatabaseError: the database cannot be written.
        """
        now = datetime.now(UTC)
        rows: list[InterceptorStatus] = []
        for name, facts in instances.items():
            values = {
                "instance": name,
                "started_at": self._started.setdefault(name, now),
                "heartbeat_at": now,
                "version": self._version,
                "endpoints": self._endpoints,
                "restart_needed": [],
                "cooldowns": [],
                "measures": [],
                **common,
                **facts,
            }
            rows.append(new_row(InterceptorStatus, values))
        # One statement a row: `update_or_create` takes ten times as long.
        upsert(rows, key=("instance",))
        self._remove(self._started.keys() - instances.keys())

    def remove_all(self) -> None:
        """Remove the rows written here, and those of processes that were killed long ago.

        Raises:
            DatabaseError: the database cannot be written.
        """
        self._remove(set(self._started))
        long_ago = datetime.now(UTC) - STALE_AFTER
        InterceptorStatus.objects.filter(heartbeat_at__lt=long_ago).delete()

    def _remove(self, names: set[str]) -> None:
        if not names:
            return
        InterceptorStatus.objects.filter(instance__in=names).delete()
        # Forgotten last: a removal that failed is tried again.
        for name in names:
            del self._started[name]
