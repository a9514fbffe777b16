"""Writer of flows, on a thread of its own: the proxy's event loop never waits for the database.

Records wait in a bounded backlog. The thread takes them, cuts out secrets, packs bodies and writes
batches, each in one idempotent transaction. While the database is locked or away it goes on
preparing rows, which need less memory than records. It retries until the database works or the
writer is closed. Rows that find no room go into files (`spool.py`) until the database works.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from django.db import (
    InterfaceError,
    OperationalError,
    close_old_connections,
    connections,
)

from flows.lineage.fresh_flows import FreshFlow, FreshFlows
from flows.models import Flow
from flows.record import FlowDelta, FlowRecord
from flows.redaction.redactor import Redactor
from flows.telemetry.finished_flow import OnFinished
from flows.threads.background_thread import BackgroundThread
from flows.writer.backlog import Backlog, OnCommitted
from flows.writer.batch import write_batch
from flows.writer.database_state import DatabaseState
from flows.writer.housekeeping import RETRY_S, Housekeeping
from flows.writer.preparation import Preparation
from flows.writer.prepared_rows import Size
from flows.writer.retention_policy import RetentionPolicy
from flows.writer.rows.flow_rows import FlowRows
from flows.writer.rows.row_builder import RowBuilder
from flows.writer.spool import Spool
from flows.writer.waiting.running_wait import running_wait_s
from flows.writer.writer_connection import BUSY_TIMEOUT_MS, WriterConnection
from flows.writer.writer_stats import WriterStats
from providers.prices.own_prices import OwnPrices

BATCH_ROWS = 100
BATCH_WINDOW_S = 0.25
MAX_RECORDS = 5000
MAX_BYTES = 96 * 1024 * 1024
_PAUSE_S = 0.05
"""Pause of a closed writer between looks at a database that is not to be asked yet."""
_AFTER_FAULT_S = 1.0
"""Pause after a round that failed for another reason than the database."""
_BEHIND_S = 1.0
"""Records that wait longer, or more than this share of the room, are worth a core."""
_BEHIND_SHARE = 0.2
_LAST_ROUND_S = 2.0
"""Extra time for the round under way when `close` gives up."""

logger = logging.getLogger(__name__)


class FlowWriter:
    """Sink that stores flows; its methods return at once and never raise.

    While `is_watched` returns False, running flows are written less often; it is called with each
    of their records.
    """

    def __init__(
        self,
        *,
        redactor: Redactor,
        instance: str = "",
        retention: RetentionPolicy | None = None,
        spool: Spool | None = None,
        on_finished: Sequence[OnFinished] = (),
        fresh: FreshFlows | None = None,
        is_watched: Callable[[], bool] = lambda: True,
        max_records: int = MAX_RECORDS,
        max_bytes: int = MAX_BYTES,
        batch_rows: int = BATCH_ROWS,
        batch_window_s: float = BATCH_WINDOW_S,
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
    ) -> None:
        self._backlog = Backlog(max_records=max_records, max_bytes=max_bytes)
        self._behind_above = Size(int(max_records * _BEHIND_SHARE), int(max_bytes * _BEHIND_SHARE))
        # Beyond these, rows go into the spool while the database takes none.
        self._spool_above = Size(max_records // 2, max_bytes // 2)
        self._spool = spool
        self._own_prices = OwnPrices()
        self._fresh = fresh
        self._is_watched = is_watched
        bodies = fresh.bodies if fresh else None
        builder = RowBuilder(redactor, self._own_prices.last, on_finished, bodies)
        self._preparation = Preparation(self._backlog, builder, instance)
        self._prepared = self._preparation.rows
        self._batch_rows = batch_rows
        self._batch_window_s = batch_window_s
        self._connection = WriterConnection(busy_timeout_ms)
        self._database = DatabaseState()
        self._housekeeping = Housekeeping(retention)
        self._thread = BackgroundThread("flow-writer", self._run)
        self._give_up_at = float("inf")
        self._housekeeping_at = 0.0
        self._written = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def hurry(self, *, at_once: bool = False) -> list[FlowRecord]:
        """Write the states of running flows that wait for newer ones; return these states.

        `at_once`: without the pause in which others may join them.
        """
        return self._backlog.hurry(at_once=at_once)

    def started(self, record: FlowRecord) -> None:
        """Queue a routed flow."""
        self.record(record)

    def delta(self, delta: FlowDelta) -> None:
        """Ignore the bytes: the next record holds them."""

    def progress(self, record: FlowRecord) -> None:
        """Queue a running flow's state so far."""
        self.record(record)

    def finished(self, record: FlowRecord) -> None:
        """Queue a flow's last state."""
        self.record(record)

    def record(
        self,
        record: FlowRecord,
        *,
        instance: str = "",
        bodies_dropped: bool = False,
        on_committed: OnCommitted = None,
    ) -> None:
        """Queue a flow's state, of this process or of one that keeps it until it is written.

        Args:
            record: complete state of the flow.
            instance: the proxy that recorded it; "" for the writer's own.
            bodies_dropped: the proxy left the bodies out for want of room.
            on_committed: called once, on the writer's thread, when the record is in the database, a
                newer record of its flow has replaced it, or it was dropped or cannot be stored.
                Never called for a record that comes after `close` or that `close` gave up.
        """
        self._backlog.put(
            record,
            instance=instance,
            bodies_dropped=bodies_dropped,
            on_committed=on_committed,
            wait_s=0.0 if self._is_watched() else running_wait_s(record),
        )

    def has_room(self, size_bytes: int = 0) -> bool:
        """Return whether a record with bodies of this size would be queued with them; cheap."""
        return self._backlog.has_room(size_bytes)

    def stats(self) -> WriterStats:
        """Return the counters since the start; callable from any thread."""
        held = self._backlog.held()
        return WriterStats(
            queue_depth=held.records,
            queue_bytes=held.size_bytes,
            written=self._written,
            bodies_dropped=self._backlog.bodies_dropped,
            records_dropped=self._backlog.records_dropped,
            records_failed=self._preparation.failed,
            pruned=self._housekeeping.pruned,
            lag_s=self._lag_s(held.waiting_since),
            last_error=self._database.last_error,
            is_refused=self.is_refused,
            spooled_files=len(self._spool or ()),
        )

    def _lag_s(self, queued_since: float | None) -> float:
        waiting = (self._prepared.waiting_since(), queued_since)
        since = [moment for moment in waiting if moment is not None]
        return time.monotonic() - min(since) if since else 0.0

    @property
    def is_refused(self) -> bool:
        """The database refuses flows, or does not answer."""
        return self._database.is_refusing or self._database.is_stuck

    @property
    def is_behind(self) -> bool:
        """Records wait that are not in the database."""
        return bool(self._backlog.held().records)

    @property
    def held_bytes(self) -> int:
        """Size of the records and rows that wait."""
        return self._backlog.held().size_bytes

    def keep_up(self) -> None:
        """Take the cores from others once records wait too long; to be called about every second.

        The thread leaves the cores to the traffic, so that nothing the record does is felt by it.
        """
        if self.is_refused:
            return
        held, above = self._backlog.held(), self._behind_above
        is_much = held.records > above.flows or held.size_bytes > above.size_bytes
        if is_much or self._lag_s(held.waiting_since) > _BEHIND_S:
            self._thread.hurry()

    def relieve(self, *, everything: bool = False) -> None:
        """Move rows into the spool if the database takes none and memory is half full.

        Callable from any thread; to be called about every second. It takes as long as the files.

        Args:
            everything: however little waits, because the process is about to end.
        """
        if self._spool is None or not self.is_refused:
            return
        held = self._backlog.held()
        above = self._spool_above
        if everything or held.records > above.flows or held.size_bytes > above.size_bytes:
            self._move_into(self._spool)

    def _move_into(self, spool: Spool) -> None:
        while self._preparation.prepare(self._batch_rows):
            pass
        while batch := self._prepared.first(self._batch_rows):
            if not spool.put([prepared.rows for prepared in batch]):
                break
            self._preparation.forget(batch)

    def close(self, timeout_s: float) -> bool:
        """Refuse further records and write those that wait, for at most `timeout_s`.

        Returns true when everything was written.
        """
        self._give_up_at = min(self._give_up_at, time.monotonic() + timeout_s)
        self._backlog.close()
        if self._database.is_stuck:
            # At once: a database that does not answer would hold the thread for all of the time.
            self.relieve(everything=True)
        self._thread.hurry()
        self._thread.join(timeout_s + _LAST_ROUND_S)
        self.relieve(everything=True)
        if self._spool:
            logger.warning("%d spooled files wait for the next start", len(self._spool))
        lost = self._backlog.held().records
        if lost:
            logger.error(
                "%d flows were not written before the proxy stopped: %s",
                lost,
                self._database.last_error,
            )
        return not lost

    # --- the thread

    def _run(self) -> None:
        try:
            while not self._finished() and not self._thread.is_replaced:
                try:
                    self._round()
                    if not self.is_behind:
                        self._thread.relax()
                except Exception as exc:
                    # The thread must survive any failure of one round.
                    self._database.note(exc)
                    logger.exception("The flow writer failed and goes on")
                    time.sleep(_AFTER_FAULT_S)
        finally:
            connections.close_all()

    def _finished(self) -> bool:
        if not self._backlog.closed:
            return False
        if time.monotonic() >= self._give_up_at:
            return True
        # Files can wait for the next start, if the database takes nothing now.
        has_files = bool(self._spool) and not self._database.is_refusing
        return self._backlog.held().records == 0 and not has_files

    def _round(self) -> None:
        """Sleep until something is due, prepare a batch, then write or keep house."""
        due_at = self._database.retry_at if self._has_rows() else self._housekeeping_at
        idle_s = max(0.0, due_at - time.monotonic())
        self._backlog.wait(idle_s=idle_s, window_s=self._batch_window_s, batch=self._batch_rows)
        # Rows are made without the database: it may be frozen when they have to be spooled.
        with self._database.asking():
            self._own_prices.refresh()
        self._preparation.prepare(self._batch_rows)
        now = time.monotonic()
        if self._has_rows() and now >= self._database.retry_at:
            self._write()
        elif self._prepared and self._backlog.closed:
            # A closed backlog no longer waits, and the database is not asked before its time.
            time.sleep(_PAUSE_S)
        elif not self._has_rows() and now >= self._housekeeping_at and not self._backlog.closed:
            self._keep_house()

    def _has_rows(self) -> bool:
        return bool(self._prepared or self._spool)

    def _write(self) -> None:
        """Write a batch, but first what was spooled: an older state must not come last."""
        try:
            with self._database.asking():
                self._connection.check()
                if not self._write_spooled():
                    self._write_prepared()
        except (OperationalError, InterfaceError) as exc:
            self._database.postpone(exc)
            close_old_connections()
        else:
            self._database.recovered(len(self._prepared))

    def _write_spooled(self) -> bool:
        """Store the oldest file of the spool; return False if there is none."""
        spooled = self._spool.oldest() if self._spool else None
        if spooled is None or self._spool is None:
            return False
        self._write_rows(spooled.rows)
        self._spool.remove(spooled.path)
        return True

    def _write_prepared(self) -> None:
        batch = self._prepared.first(self._batch_rows)
        self._write_rows([prepared.rows for prepared in batch])
        self._preparation.forget(batch)

    def _write_rows(self, batch: Sequence[FlowRows]) -> None:
        """Write a batch; if a flow makes it fail, write the others."""
        try:
            self._write_complete(batch)
            self._written += len(batch)
        except (OperationalError, InterfaceError):
            raise
        except Exception as exc:
            if len(batch) == 1:
                self._preparation.drop_unstorable(batch[0].flow.pk, exc)
                return
            for rows in batch:
                self._write_rows([rows])

    def _write_complete(self, batch: Sequence[FlowRows]) -> None:
        """Write a batch, with links and texts of its ended flows as far as they can be made."""
        if self._fresh is None:
            write_batch(batch)
            return
        ended = [rows for rows in batch if rows.flow.state != Flow.State.LIVE]
        additions = self._fresh.additions_of([FreshFlow(each.flow, each.parts) for each in ended])
        write_batch(batch, additions)
        if len(additions) < len(ended):
            self._fresh.left()

    def _keep_house(self) -> None:
        try:
            with self._database.asking():
                self._connection.check()
                wait_s = self._housekeeping.step()
        except Exception as exc:
            # Flows are written all the same.
            self._database.failed(exc)
            if not self._database.is_refusing:
                logger.exception("Keeping the record in its bounds failed and is tried again")
            close_old_connections()
            wait_s = RETRY_S
        else:
            self._database.recovered(len(self._prepared))
        self._housekeeping_at = time.monotonic() + wait_s
