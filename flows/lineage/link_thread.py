"""Thread of the recorder that links and indexes ended flows, behind the writer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event, Thread
from typing import Final

from django.db import DatabaseError, close_old_connections, connections

from flows.lineage.fresh_flows import FreshFlows
from flows.lineage.link_backlog import Backlog, count_backlog
from flows.lineage.rest_look import RestLook
from flows.search.indexer import waiting
from flows.search.segment_rows import build_segment, dissolve_segments, without_segment
from flows.threads.background_thread import leave_cores_to_others

BATCH_FLOWS: Final = 50
"""Flows a transaction, at most. The database is written in three statements: all is read and
compared before.
"""
_FEWEST_FLOWS: Final = 4
_STEP_S: Final = 0.2
"""Time that a step may take. Flows that the writer writes meanwhile wait for it, but not as long as
`fresh_flows.WAIT_S`.
"""
_BUSY_S: Final = 2.0
"""Time after which flows are linked beside a writer that always has work."""
_COMMIT_S: Final = 0.4
"""Time in which a finished flow's row is written, mostly."""
_LOOKS: Final = 5
_REST_S: Final = 15.0
"""Other processes import flows without a word to this one."""
_RETRY_S: Final = 5.0
_INDEX_AFTER_S: Final = 1.0
"""Pause of the traffic after which trigrams, and the texts of large flows, are indexed.

It takes as long as the rest of the record of a small flow, so it waits for cores that are free.
"""
_MAX_WAITING: Final = 2000
"""Flows that wait for an index at most, however busy the proxies are."""
_COUNT_EVERY_S: Final = 5.0
"""Time between two counts of those that wait: each reads as much as writing a flow."""
_DISSOLVE_EVERY_S: Final = 300.0
"""Longest time that trigrams of a deleted flow stay, while few are deleted."""
_BACKLOG_EVERY_S: Final = 5.0
"""Time between two counts of what waits while there is work."""
logger = logging.getLogger(__name__)


class LinkThread:
    """Linker and search index on a thread of their own.

    Args:
        is_busy: tells that the writer has work, which comes first.
        fresh: linker and indexer, which the writer uses as well.
        open_connection: opens this thread's connection for a look at rest.
    """

    def __init__(
        self,
        is_busy: Callable[[], bool],
        fresh: FreshFlows | None = None,
        open_connection: Callable[[], object] = close_old_connections,
    ) -> None:
        self._is_busy = is_busy
        self._fresh = fresh or FreshFlows()
        self._rest = RestLook(open_connection)
        self._dissolve_at = 0.0
        self._noticed_at = float("-inf")
        self._waits_to_index = False
        self._is_awake = False
        self._flows = BATCH_FLOWS
        self._worked_at = time.monotonic()
        self._count_at = 0.0
        self._backlog_at = 0.0
        self.backlog: Backlog | None = None
        """What waited at the last count; None before the first one."""
        self._has_news = Event()
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="flow-links", daemon=True)

    def start(self) -> None:
        """Start the thread; it goes on with what the last process left."""
        self._thread.start()

    def notice(self) -> None:
        """Take notice that a flow has ended, and will be written soon."""
        self._noticed_at = time.monotonic()
        # Once awake it looks again until the traffic rests, and not for each flow.
        if not self._is_awake:
            self._is_awake = True
            self._has_news.set()

    def close(self, timeout_s: float) -> None:
        """Stop after the transaction under way."""
        self._stopped.set()
        self._has_news.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        leave_cores_to_others()
        try:
            while not self._stopped.is_set():
                began = time.monotonic()
                self._look()
                # In this order: a notice that comes between the two is seen by one of them.
                self._is_awake = False
                if self._waits_to_index or self._noticed_at >= began:
                    self._is_awake = True
                self._has_news.wait(_INDEX_AFTER_S if self._is_awake else _REST_S)
                self._has_news.clear()
        finally:
            connections.close_all()

    def _look(self) -> None:
        """Work on what waits; look a few times, because a flow is written after it was noted.

        One look does for what other processes import: at rest, looks are what the recorder does.
        """
        if not self._is_awake and self._rests():
            return
        for _ in range(_LOOKS if self._is_awake else 1):
            if self._stopped.wait(_COMMIT_S):
                return
            # Of a pause after some traffic most looks find nothing.
            if self._is_awake and self._rests():
                continue
            # Mostly the writer links what it writes.
            if self._do_all() or (self._waits_to_index and self._fresh.is_caught_up):
                return

    def _rests(self) -> bool:
        """Return whether there is nothing to do, and nothing was left by the last look."""
        is_done = self.backlog is not None and not any(self.backlog)
        is_due = time.monotonic() >= self._dissolve_at
        if is_due or not (is_done and self._fresh.is_caught_up):
            return False
        try:
            finds_work = self._rest.finds_work()
        except DatabaseError:
            # The look that follows says why, and closes the connection.
            return False
        if not finds_work:
            self._waits_to_index = False
        return not finds_work

    def _do_all(self) -> bool:
        """Link and index flows until none waits; return whether there were any."""
        has_worked = False
        while not self._stopped.is_set():
            self._count_backlog()
            if not self._may_work():
                self._stopped.wait(_COMMIT_S)
                continue
            began = time.monotonic()
            try:
                close_old_connections()
                count = self._step()
                self._adapt(began)
            except DatabaseError as exc:
                logger.info("Flows are linked and indexed later: %s", exc)
                close_old_connections()
                self._stopped.wait(_RETRY_S)
                return has_worked
            if not count:
                is_known = self.backlog is not None and not any(self.backlog)
                if not self._waits_to_index and (has_worked or not is_known):
                    # What is done now is not reported as waiting until the next flow comes.
                    self._backlog_at = 0.0
                    self._count_backlog()
                return has_worked
            has_worked = True
            # As long a pause as the work took: the writer and the console get their turn.
            self._stopped.wait(time.monotonic() - began)
        return has_worked

    def _may_work(self) -> bool:
        """Return whether the writer rests, or was busy for so long that flows wait too long."""
        return not self._is_busy() or time.monotonic() - self._worked_at >= _BUSY_S

    def _adapt(self, began: float) -> None:
        """Choose how many flows the next step takes: the writer waits for a step, but not long."""
        now = time.monotonic()
        self._worked_at = now
        share = _STEP_S / max(now - began, 0.001)
        self._flows = max(_FEWEST_FLOWS, min(BATCH_FLOWS, int(self._flows * share)))

    def _count_backlog(self) -> None:
        """Count what waits, not too often; while the database is away the last count is kept."""
        if time.monotonic() < self._backlog_at:
            return
        self._backlog_at = time.monotonic() + _BACKLOG_EVERY_S
        try:
            self.backlog = count_backlog()
        except DatabaseError as exc:
            logger.debug("The flows that wait were not counted: %s", exc)
            close_old_connections()

    def _step(self) -> int:
        """Do a little of each work; return how many flows or segments it was."""
        # What a flow adds is known once it is linked. Not all links first: after an upgrade there
        # are many, and a search reads the flows without a segment one by one.
        count = self._fresh.link_waiting(self._flows)
        self._waits_to_index = not self._may_index()
        if self._waits_to_index:
            return count
        count += self._fresh.index_waiting(self._flows)
        count += build_segment()
        if count:
            return count
        if time.monotonic() >= self._dissolve_at:
            self._dissolve_at = time.monotonic() + _DISSOLVE_EVERY_S
            return dissolve_segments()
        return 0

    def _may_index(self) -> bool:
        """Return whether the traffic rests, or so many flows wait that it must not matter."""
        has_traffic = time.monotonic() - self._noticed_at < _INDEX_AFTER_S
        if not has_traffic:
            return True
        if time.monotonic() < self._count_at:
            return False
        # Texts are written with their flows, but a search reads them one by one until then.
        are_many = any(each[_MAX_WAITING:].exists() for each in (waiting(), without_segment()))
        if not are_many:
            self._count_at = time.monotonic() + _COUNT_EVERY_S
        return are_many
