"""Thread that delivers notices by one channel, with a bounded queue and a few retries."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Final

from ccproxy_site.notices.notice import Notice
from ccproxy_site.notices.notice_channel import Channel, Outcome

MAX_WAITING: Final = 20
RETRY_AFTER_S: Final = (2.0, 10.0)
"""Waits before the retries of a delivery."""
logger = logging.getLogger("ccproxy")

OnOutcome = Callable[[int, str, str], None]
"""Called with the notice's row, the channel's name and half a sentence; never raises."""


class Courier:
    """A channel on a thread of its own.

    Args:
        channel: delivers.
        on_outcome: gets each result.
        waits_s: seconds before the retries.
    """

    def __init__(
        self, channel: Channel, on_outcome: OnOutcome, waits_s: Sequence[float] = RETRY_AFTER_S
    ) -> None:
        self._channel, self._on_outcome, self._waits_s = channel, on_outcome, waits_s
        self._waiting: Queue[tuple[int, Notice]] = Queue(MAX_WAITING)
        self._stopped = Event()
        self._has_failed = False
        # A daemon: a receiver that does not respond must not keep the process.
        self._thread = Thread(target=self._run, name=f"notices-{channel.name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, row: int, sent: Notice) -> None:
        """Queue a notice; while too many wait, it is dropped, and the outcome says so."""
        try:
            self._waiting.put_nowait((row, sent))
        except Full:
            self._on_outcome(row, self._channel.name, f"dropped: {MAX_WAITING} notices wait")

    def close(self, timeout_s: float) -> None:
        """Deliver no more, but what is under way."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                row, sent = self._waiting.get(timeout=0.5)
            except Empty:
                continue
            outcome = self._deliver(sent)
            self._log(outcome)
            self._on_outcome(row, self._channel.name, outcome.text)

    def _deliver(self, sent: Notice) -> Outcome:
        outcome = self._once(sent)
        for wait_s in self._waits_s:
            if outcome.is_delivered or not outcome.may_retry:
                break
            if self._stopped.wait(max(wait_s, outcome.retry_after_s)):
                break
            outcome = self._once(sent)
        return outcome

    def _once(self, sent: Notice) -> Outcome:
        try:
            return self._channel.deliver(sent)
        except Exception as exc:
            # A defect must not end the thread.
            logger.exception("A notice could not be delivered by the %s", self._channel.name)
            return Outcome(False, f"failed: {type(exc).__name__}")

    def _log(self, outcome: Outcome) -> None:
        """Log the first of several failures."""
        if not outcome.is_delivered and not self._has_failed:
            logger.warning("Notices: the %s %s", self._channel.name, outcome.text)
        self._has_failed = not outcome.is_delivered
