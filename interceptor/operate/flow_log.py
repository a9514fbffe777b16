"""Lines in the log about every flow that ends: the setting `inspector.mitmproxy.flow_detail`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from flows.record import FlowDelta, FlowRecord
from flows.redaction.redacted_record import RedactedRecord
from flows.redaction.redactor import Redactor

logger = logging.getLogger("ccproxy.flows")

LINE, HEADERS, BODIES, COMPLETE = 1, 2, 3, 4
CUT_CHARS = 2000
"""What `BODIES` shows of a body or a message."""
MAX_WAITING = 1000


class FlowLog:
    """A sink that writes the log, on a thread of its own: bodies are searched for secrets.

    Args:
        detail: from `LINE`, request and status, to `COMPLETE`, everything.
        redactor: cuts secrets out of what is written.
    """

    def __init__(self, detail: int, redactor: Redactor) -> None:
        self._detail = detail
        self._redactor = redactor
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="flow-log")
        self._waiting: set[Future[None]] = set()

    def started(self, record: FlowRecord) -> None:
        """Do nothing: a flow is logged when it ends."""

    def delta(self, delta: FlowDelta) -> None:
        """Do nothing: a flow is logged when it ends."""

    def progress(self, record: FlowRecord) -> None:
        """Do nothing: a flow is logged when it ends."""

    def finished(self, record: FlowRecord) -> None:
        """Have the flow logged, unless a thousand flows wait for that already."""
        if len(self._waiting) >= MAX_WAITING:
            return
        work = self._thread.submit(self._log, record)
        self._waiting.add(work)
        work.add_done_callback(self._waiting.discard)

    async def close(self) -> None:
        """Return once everything that waits is in the log."""
        await asyncio.to_thread(self._thread.shutdown)

    def _log(self, record: FlowRecord) -> None:
        for line in flow_lines(record, self._detail, self._redactor):
            logger.info(line, extra={"flow": record.id})


def flow_lines(record: FlowRecord, detail: int, redactor: Redactor) -> Iterator[str]:
    """Yield the lines about one flow, without secrets.

    `POST http://127.0.0.1:4000/v1/messages → https://api.anthropic.com/v1/messages: 200, 912 ms`,
    then lines that begin with a side's name: `client authorization: Bearer ‹redacted 3f9a21›`.
    """
    redacted = RedactedRecord(record, redactor)
    yield _first_line(redacted)
    for side in record.sides:
        if detail >= HEADERS:
            yield from (f"{side.side} {name}: {value}" for name, value in redacted.headers(side))
        if detail >= BODIES and side.body:
            yield f"{side.side} body: {_cut(redacted.body_text(side), detail)}"
    if detail >= BODIES:
        for message in redacted.messages():
            sender = "client" if message.from_client else "upstream"
            yield f"{sender} message: {_cut(message.text, detail)}"


def _first_line(redacted: RedactedRecord) -> str:
    record = redacted.record
    line = f"{record.method} {redacted.client_url}"
    if redacted.forwarded_url:
        line += f" → {redacted.forwarded_url}"
    line += f": {record.status_code or 'no response'}"
    if record.duration_ms is not None:
        line += f", {record.duration_ms:.0f} ms"
    if redacted.error:
        line += f", {redacted.error}"
    return line


def _cut(text: str, detail: int) -> str:
    if detail >= COMPLETE or len(text) <= CUT_CHARS:
        return text
    return f"{text[:CUT_CHARS]}… ({len(text)} characters)"
