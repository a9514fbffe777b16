"""Lines of `ccproxy start` about flows, and failures in the log."""

from __future__ import annotations

import io
import logging
import time
from threading import Event

from ccproxy_site.process import flow_lines
from ccproxy_site.process.flow_lines import FlowLines
from flows.models import Flow
from flows.record import FlowRecord
from flows.telemetry.finished_flow import FinishedFlow
from tests.flows.export.test_flow_line import flow
from tests.patience import PATIENCE_S


class Terminal(io.StringIO):
    """A terminal that tells when it was written to, and may be stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.was_flushed, self.may_go_on, self.is_writing = Event(), Event(), Event()
        self.may_go_on.set()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.is_writing.set()
        self.may_go_on.wait(PATIENCE_S)
        return super().write(text)

    def flush(self) -> None:
        self.was_flushed.set()


def finished(row: Flow) -> FinishedFlow:
    record = FlowRecord(id=row.pk, state="done", started_at=0.0)
    return FinishedFlow(record, row, lambda side: b"", str)


def test_a_line_for_each_flow_and_failures_in_the_log(caplog):
    terminal = Terminal()
    lines = FlowLines(terminal)
    terminal.may_go_on.clear()
    with caplog.at_level(logging.WARNING, flow_lines.FAILURES):
        lines.finished(finished(flow(requested_model="opus")))
        # From here on the thread takes no further line.
        assert terminal.is_writing.wait(PATIENCE_S)
        lines.finished(finished(flow(status_code=500)))
        lines.finished(finished(flow(method="DNS")))
        # A stopped terminal keeps nothing from going on, and what it misses is counted.
        for _ in range(flow_lines.MAX_WAITING + 10):
            lines.finished(finished(flow()))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "failed with 500" in caplog.text
    terminal.may_go_on.set()
    deadline = time.monotonic() + PATIENCE_S
    while "are not shown" not in terminal.getvalue():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    shown = terminal.getvalue().splitlines()
    assert "opus" in shown[0]
    assert "\x1b[31m" in shown[1]
    assert len(shown) <= flow_lines.MAX_WAITING + 3


def test_the_log_is_not_filled_by_one_client(caplog, monkeypatch):
    now = [5.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    lines = FlowLines(None)
    with caplog.at_level(logging.WARNING, flow_lines.FAILURES):
        for _ in range(25):
            lines.finished(finished(flow(status_code=429)))
        now[0] = 6.0
        lines.finished(finished(flow(status_code=429)))
    messages = [record.message for record in caplog.records]
    assert len(messages) == flow_lines.FAILURES_PER_S + 2
    assert messages[-2] == "15 further flows failed; they are recorded"
