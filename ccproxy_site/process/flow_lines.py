"""A line for each finished flow on the terminal of `ccproxy start`, and failures in the log.

The writer's thread calls it with the row it has just made, so proxies spend nothing on it.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from threading import Condition, Thread
from typing import IO, Final

from flows.export.flow_line import failure_sentence, flow_line
from flows.failure import has_failed
from flows.lookup_method import LOOKUP
from flows.telemetry.finished_flow import FinishedFlow

FAILURES: Final = "ccproxy.failures"
FAILURES_PER_S: Final = 10
"""A client that repeats a refused request a thousand times must not fill the log."""
MAX_WAITING: Final = 500
"""Lines that wait for a terminal that does not read, such as one that Ctrl-S stopped."""

logger = logging.getLogger(FAILURES)


class FlowLines:
    """Observer of finished flows; its method never raises and never waits.

    Args:
        stream: where the lines go; None: failures go to the log alone.
    """

    def __init__(self, stream: IO[str] | None) -> None:
        self._lines = TerminalLines(stream) if stream is not None else None
        self._is_coloured = stream is not None and stream.isatty() and "NO_COLOR" not in os.environ
        self._second, self._logged, self._left_out = 0, 0, 0
        if stream is not None:
            _leave_failures_to_the_lines()

    def finished(self, finished: FinishedFlow) -> None:
        """Show a flow. Called on the writer's thread."""
        row = finished.row
        if row.method == LOOKUP:
            return
        try:
            if has_failed(row):
                self._log(failure_sentence(row), row.pk)
            if self._lines is not None:
                self._lines.say(flow_line(row, is_coloured=self._is_coloured))
        except Exception:
            # A line must not cost the flow its record.
            logger.exception("a flow could not be shown as a line")

    def _log(self, sentence: str, flow_id: str) -> None:
        second = int(time.monotonic())
        if second != self._second:
            if self._left_out:
                logger.warning("%d further flows failed; they are recorded", self._left_out)
            self._second, self._logged, self._left_out = second, 0, 0
        if self._logged < FAILURES_PER_S:
            self._logged += 1
            logger.warning("%s", sentence, extra={"flow": flow_id})
        else:
            self._left_out += 1


class TerminalLines:
    """Thread that writes lines to a stream which may not read them for a while."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._waiting: deque[str] = deque()
        self._left_out = 0
        self._changed = Condition()
        # A daemon: a stopped terminal must not keep the process.
        Thread(target=self._run, name="flow-lines", daemon=True).start()

    def say(self, line: str) -> None:
        """Have a line written, or left out and counted while too many wait."""
        with self._changed:
            if len(self._waiting) >= MAX_WAITING:
                self._left_out += 1
                return
            self._waiting.append(line)
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                lines = list(self._waiting)
                self._waiting.clear()
                if self._left_out:
                    lines.append(f"({self._left_out} flows are not shown; they are recorded)")
                    self._left_out = 0
            try:
                self._stream.write("\n".join(lines) + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                # The terminal is gone; the record goes on.
                return


def _leave_failures_to_the_lines() -> None:
    """Keep failures in the log's file, and off the terminal where their line stands already."""
    for handler in logging.getLogger().handlers:
        if type(handler) is logging.StreamHandler:
            handler.addFilter(lambda record: record.name != FAILURES or bool(record.exc_info))
