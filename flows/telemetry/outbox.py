"""Spans that wait for the collector: a bounded queue, and the thread that sends it.

A collector that is away or slow costs a bounded memory and nothing else: the oldest spans give way,
counted. The log says once that spans do not arrive, and once that they do again.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Final, NamedTuple

from flows.telemetry.otlp_sender import Sender, SendError

logger = logging.getLogger(__name__)

MAX_SPANS: Final = 20_000
MAX_BYTES: Final = 16 * 1024 * 1024
BATCH_SPANS: Final = 2048
BATCH_BYTES: Final = 2 * 1024 * 1024
WINDOW_S: Final = 5.0
"""How long the first span waits for others, as in OpenTelemetry's SDKs (`OTEL_BSP_SCHEDULE_DELAY`).

A request by gRPC wakes six threads some fifty times, whatever its size: 1 to 2 ms of CPU.
"""
_LAST_REQUEST_S: Final = 0.5
"""Time for a request to end whose connection was closed."""
FIRST_RETRY_S: Final = 1.0
MAX_RETRY_S: Final = 30.0


def _nothing() -> None:
    """Put no further spans."""


class _Entry(NamedTuple):
    """Spans of one flow, encoded one behind the other."""

    encoded: bytes
    spans: int


@dataclass(frozen=True, slots=True)
class OutboxStats:
    """Spans since the start, and those that wait."""

    waiting: int
    sent: int
    dropped: int
    """For want of room, refused, or left at the stop."""
    problem: str
    """Why the last request failed; "" when it did not."""


class Outbox:
    """Queue of encoded spans with its thread. `put` is safe on any thread and never waits.

    Args:
        sender: connection to the collector.
        wrap: makes a request of encoded spans.
        shown: the collector in messages.
        timeout_s: limit of one request.
    """

    def __init__(
        self,
        sender: Sender,
        wrap: Callable[[Sequence[bytes]], bytes],
        *,
        shown: str,
        timeout_s: float,
        max_spans: int = MAX_SPANS,
        max_bytes: int = MAX_BYTES,
        window_s: float = WINDOW_S,
        first_retry_s: float = FIRST_RETRY_S,
    ) -> None:
        self._sender, self._wrap = sender, wrap
        self._shown, self._timeout_s = shown, timeout_s
        self._max_spans, self._max_bytes = max_spans, max_bytes
        self._window_s, self._first_retry_s = window_s, first_retry_s
        self._entries: deque[_Entry] = deque()
        self._changed = Condition()
        self._waiting = self._bytes = self._sending = self._sent = self._dropped = 0
        self._problem = ""
        self._is_closed = self._is_expecting = False
        self._fill: Callable[[], None] = _nothing
        self._give_up_at = float("inf")
        self._thread = Thread(target=self._run, name="telemetry", daemon=True)

    def fill_by(self, fill: Callable[[], None]) -> None:
        """Set what puts further spans, called on the sending thread when spans are due."""
        self._fill = fill

    def expect(self) -> None:
        """Take notice that `fill` has spans, which are due after the usual moment."""
        with self._changed:
            self._is_expecting = True
            self._changed.notify()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, spans: bytes, count: int) -> None:
        """Queue spans; the oldest ones give way when there is no room."""
        with self._changed:
            if self._is_closed:
                self._dropped += count
                return
            was_full = self._is_batch()
            self._add(_Entry(spans, count))
            while self._waiting > self._max_spans or self._bytes > self._max_bytes:
                self._dropped += self._take_first().spans
            # Only where the thread sleeps for what comes first, or for a batch.
            if len(self._entries) == 1 or (self._is_batch() and not was_full):
                self._changed.notify()

    def stats(self) -> OutboxStats:
        """Return the counters; callable from any thread."""
        with self._changed:
            waiting = self._waiting + self._sending
            return OutboxStats(waiting, self._sent, self._dropped, self._problem)

    def close(self, timeout_s: float) -> bool:
        """Send what waits for at most `timeout_s`; return True when everything was sent."""
        with self._changed:
            self._is_closed = True
            self._give_up_at = time.monotonic() + timeout_s
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        # A request to a frozen collector ends with its channel.
        self._sender.close()
        if self._thread.is_alive():
            self._thread.join(_LAST_REQUEST_S)
        left = self._leave()
        if left:
            logger.warning("%d spans were not sent to %s before the stop", left, self._shown)
        return not left

    def _leave(self) -> int:
        with self._changed:
            left = self._waiting + self._sending
            self._dropped += left
            self._entries.clear()
            self._waiting = self._bytes = self._sending = 0
            return left

    def _add(self, entry: _Entry) -> None:
        self._entries.append(entry)
        self._waiting += entry.spans
        self._bytes += len(entry.encoded)

    def _take_first(self) -> _Entry:
        entry = self._entries.popleft()
        self._waiting -= entry.spans
        self._bytes -= len(entry.encoded)
        return entry

    def _is_batch(self) -> bool:
        return self._waiting >= BATCH_SPANS or self._bytes >= BATCH_BYTES

    # --- the thread

    def _run(self) -> None:
        retry_s = self._first_retry_s
        while self._wait_for_spans():
            batch = self._next_batch()
            try:
                failed = self._send(batch)
            except Exception:
                # The thread must survive whatever a library does.
                logger.exception("Spans could not be sent and are left out")
                self._count(batch, sent=False)
                continue
            if not failed:
                retry_s = self._first_retry_s
                continue
            self._put_back(batch)
            self._pause(retry_s)
            retry_s = min(retry_s * 2, MAX_RETRY_S)

    def _wait_for_spans(self) -> bool:
        """Wait for a batch, or for the first span and then a moment; False at the end."""
        while True:
            with self._changed:
                while not self._entries and not self._is_closed and not self._is_expecting:
                    self._changed.wait()
                if not self._is_closed and not self._is_batch():
                    self._changed.wait_for(
                        lambda: self._is_closed or self._is_batch(), self._window_s
                    )
                was_expecting, self._is_expecting = self._is_expecting, False
            if was_expecting:
                self._fill()
            with self._changed:
                # A flow that is not sampled has no span.
                if self._entries or self._is_closed:
                    return bool(self._entries) and time.monotonic() < self._give_up_at

    def _next_batch(self) -> list[_Entry]:
        batch: list[_Entry] = []
        count = size_bytes = 0
        with self._changed:
            while self._entries and count < BATCH_SPANS and size_bytes < BATCH_BYTES:
                entry = self._take_first()
                batch.append(entry)
                count += entry.spans
                size_bytes += len(entry.encoded)
            self._sending = count
        return batch

    def _send(self, batch: list[_Entry]) -> bool:
        """Send a batch; return True when it should be tried again."""
        request = self._wrap([entry.encoded for entry in batch])
        left_s = self._give_up_at - time.monotonic()
        try:
            self._sender.send(request, max(0.05, min(self._timeout_s, left_s)))
        except SendError as exc:
            self._failed(str(exc))
            if not exc.is_final:
                return True
            self._count(batch, sent=False)
            return False
        self._recovered()
        self._count(batch, sent=True)
        return False

    def _count(self, batch: list[_Entry], *, sent: bool) -> None:
        count = sum(entry.spans for entry in batch)
        with self._changed:
            self._sending = 0
            if sent:
                self._sent += count
            else:
                self._dropped += count

    def _put_back(self, batch: list[_Entry]) -> None:
        with self._changed:
            self._sending = 0
            for entry in reversed(batch):
                has_room = (
                    self._waiting + entry.spans <= self._max_spans
                    and self._bytes + len(entry.encoded) <= self._max_bytes
                )
                if not has_room:
                    self._dropped += entry.spans
                    continue
                self._entries.appendleft(entry)
                self._waiting += entry.spans
                self._bytes += len(entry.encoded)

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed, seconds)
            is_closed = self._is_closed
        if is_closed:
            # Tried again until the stop's time is over, but not in a tight loop.
            time.sleep(min(0.2, max(0.0, self._give_up_at - time.monotonic())))

    def _failed(self, reason: str) -> None:
        if not self._problem:
            logger.warning(
                "Telemetry does not reach %s (%s); it is tried again, and the oldest spans are"
                " dropped once %d wait",
                self._shown,
                reason,
                self._max_spans,
            )
        self._problem = reason

    def _recovered(self) -> None:
        if self._problem:
            logger.info("Telemetry reaches %s again", self._shown)
        self._problem = ""
