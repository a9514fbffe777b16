"""Records become rows: the part of the writer that needs no database."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from threading import RLock

from flows.writer.backlog import Backlog, OnCommitted, QueuedRecord
from flows.writer.prepared_rows import Prepared, PreparedRows
from flows.writer.rows.flow_rows import FlowRows
from flows.writer.rows.row_builder import RowBuilder

logger = logging.getLogger(__name__)


class Preparation:
    """Takes records out of the backlog and keeps their rows until they are stored. Thread-safe.

    Args:
        backlog: where the records wait.
        builder: makes the rows.
        instance: the name of the proxy whose records name none.
    """

    def __init__(self, backlog: Backlog, builder: RowBuilder, instance: str) -> None:
        self._backlog, self._builder, self._instance = backlog, builder, instance
        # Held while records become rows, never while the database is asked.
        self._preparing = RLock()
        # Websocket messages in the database, of each running flow.
        self._written_messages: dict[str, int] = {}
        self.rows = PreparedRows()
        """The rows that wait for the database."""
        self.failed = 0
        """Flows that could not be made into rows or stored."""

    def prepare(self, limit: int) -> int:
        """Make rows of the oldest records of the backlog; return the number of records."""
        # Together: of a flow's two states the newer must be prepared last.
        with self._preparing:
            batch = self._backlog.take(limit)
            for queued in batch:
                self._prepare(queued)
            self._count_prepared()
        for on_committed in self._backlog.take_settled():
            _settle(on_committed)
        return len(batch)

    def forget(self, batch: Sequence[Prepared]) -> None:
        """Let go of rows that are in the database or in the spool."""
        for kept in self.rows.remove(batch):
            self._count_messages(kept.rows)
            _settle(kept.on_committed)
        with self._preparing:
            self._count_prepared()

    def drop_unstorable(self, flow_id: str, exc: Exception) -> None:
        """Note that a flow is left out, and why."""
        self.failed += 1
        logger.error(
            "Flow %s cannot be stored and is left out: %r", flow_id, exc, extra={"flow": flow_id}
        )

    def _prepare(self, queued: QueuedRecord) -> None:
        record = queued.record
        try:
            rows = self._builder.build(
                record,
                bodies_dropped=queued.bodies_dropped,
                written_messages=self._written_messages.get(record.id, 0),
            )
        except Exception as exc:
            # One flow that cannot be built must not cost the others.
            self.drop_unstorable(record.id, exc)
            _settle(queued.on_committed)
            return
        rows.flow.instance = queued.instance or self._instance
        prepared = Prepared(rows, queued.waiting_since, queued.on_committed)
        if older := self.rows.put(prepared):
            _settle(older.on_committed)

    def _count_messages(self, rows: FlowRows) -> None:
        if rows.flow.state == "live":
            self._written_messages[rows.flow.pk] = rows.message_count
        else:
            self._written_messages.pop(rows.flow.pk, None)

    def _count_prepared(self) -> None:
        self._backlog.count_taken(*self.rows.size())


def _settle(on_committed: OnCommitted) -> None:
    if on_committed is None:
        return
    try:
        on_committed()
    except Exception:
        # The record is written; only its sender keeps it longer than needed.
        logger.exception("The sender of a written record failed to note it")
