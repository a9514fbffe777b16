"""The log tells of flows that are not stored: at once, every minute, and when it is over."""

from __future__ import annotations

import logging

import pytest

from ccproxy_site.process.recording_log import RecordingLog


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_one_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    log = RecordingLog(clock)
    log.tell("")
    for second in range(125):
        clock.now = 100.0 + second
        log.tell("it is away" if second < 90 else "it is still away")
    log.tell("")
    log.tell("")
    assert [record.getMessage() for record in caplog.records] == [
        "not recording: it is away",
        "not recording: it is away",
        "not recording: it is still away",
        "recording again",
    ]
