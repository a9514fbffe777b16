"""Thread of the recorder that makes notices, limits them, and gives them to the couriers."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from threading import Event, Lock, Thread
from typing import Final

from django.db import DatabaseError, close_old_connections, connections

from ccproxy_site.notices.courier import Courier
from ccproxy_site.notices.flow_notice import FlowNotices
from ccproxy_site.notices.kept_notices import keep_notice, note_delivery
from ccproxy_site.notices.notice import Notice
from ccproxy_site.notices.notice_limiter import NoticeLimiter
from ccproxy_site.notices.watch import Watch
from flows.models import Flow
from flows.telemetry.finished_flow import FinishedFlow

EVERY_S: Final = 2.0
"""Pause between two looks."""
MAX_FAILURES: Final = 50
"""Failed flows that wait for a look; more are counted alone."""
_UNKEPT: Final = 0
"""Row of a notice that the database did not take."""
logger = logging.getLogger("ccproxy")


class NoticeThread:
    """The thread. `finished` is called on the writer's thread and never waits.

    Args:
        flows: makes the notices of failed flows; None: failures are worth none.
        watches: find the other events.
        limiter: decides what is sent now.
        redact: cuts secrets out of a text.
        every_s: seconds between two looks.
    """

    def __init__(
        self,
        flows: FlowNotices | None,
        watches: Sequence[Watch],
        limiter: NoticeLimiter,
        redact: Callable[[str], str],
        every_s: float = EVERY_S,
    ) -> None:
        self._flows, self._watches, self._limiter = flows, watches, limiter
        self._redact, self._every_s = redact, every_s
        self._couriers: list[Courier] = []
        self._failed: deque[Flow] = deque()
        self._uncounted = 0
        self._lock = Lock()
        self._outcomes: deque[tuple[int, str, str]] = deque()
        self._stopped = Event()
        self._is_broken = False
        self._thread = Thread(target=self._run, name="notices", daemon=True)

    def deliver_by(self, couriers: Iterable[Courier]) -> None:
        """Add the couriers, before the start; their outcomes go to `note_outcome`."""
        self._couriers += couriers

    def finished(self, finished: FinishedFlow) -> None:
        """Take notice of a flow; never raises."""
        row = finished.row
        try:
            for watch in self._watches:
                watch.note(row)
            if self._flows is not None and self._flows.is_failure(row):
                self._note_failure(row)
        except Exception:
            # A notice must not cost the flow its record.
            if not self._is_broken:
                logger.exception("A flow could not be looked at for notices")
            self._is_broken = True

    def _note_failure(self, row: Flow) -> None:
        with self._lock:
            if len(self._failed) < MAX_FAILURES:
                self._failed.append(row)
            else:
                self._uncounted += 1

    def note_outcome(self, row: int, channel: str, text: str) -> None:
        """Take notice of a delivery, for its row."""
        self._outcomes.append((row, channel, text))

    def start(self) -> None:
        """Start this thread and the couriers'."""
        for courier in self._couriers:
            courier.start()
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        """Stop. What is held by the rate limit is sent no more; flows stay in the record."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        for courier in self._couriers:
            courier.close(timeout_s / 4)

    def _run(self) -> None:
        try:
            while not self._stopped.wait(self._every_s):
                try:
                    close_old_connections()
                    self.look()
                except Exception:
                    if not self._is_broken:
                        logger.exception("Looking for notices failed and is tried again")
                    self._is_broken = True
        finally:
            connections.close_all()

    def look(self) -> None:
        """Make the notices of what happened since the last look, and send those that may go."""
        self._look_at_failures()
        for watch in self._watches:
            try:
                found = list(watch.look())
            except DatabaseError:
                # The database may be what is away; another look finds the rest.
                found = []
            for made in found:
                self._admit(made)
        for made in self._limiter.due():
            self._send(made)
        self._keep_outcomes()

    def _look_at_failures(self) -> None:
        with self._lock:
            rows, uncounted = list(self._failed), self._uncounted
            self._failed.clear()
            self._uncounted = 0
        if self._flows is None:
            return
        for index, row in enumerate(rows):
            is_last = index == len(rows) - 1
            count = 1 + uncounted if is_last else 1
            self._admit(self._flows.failure(row), count)

    def _admit(self, made: Notice, count: int = 1) -> None:
        if (sent := self._limiter.admit(made, count)) is not None:
            self._send(sent)

    def _send(self, sent: Notice) -> None:
        try:
            row = keep_notice(sent, self._redact)
        except DatabaseError:
            row = _UNKEPT
        for courier in self._couriers:
            courier.put(row, sent)

    def _keep_outcomes(self) -> None:
        while self._outcomes:
            row, channel, text = self._outcomes.popleft()
            if row == _UNKEPT:
                continue
            try:
                note_delivery(row, channel, self._redact(text))
            except DatabaseError:
                return
