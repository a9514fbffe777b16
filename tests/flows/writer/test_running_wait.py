"""How long the state of a running flow waits for a newer one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import time_machine

from flows.writer.waiting.running_wait import running_wait_s
from tests.flows.records import EPOCH, flow, live


@pytest.mark.parametrize(("age_s", "expected_s"), [(0.05, 5.0), (7.0, 7.0), (3600.0, 10.0)])
def test_a_running_flow_waits_as_long_as_it_has_run(age_s: float, expected_s: float) -> None:
    with time_machine.travel(EPOCH + age_s, tick=False):
        assert running_wait_s(replace(live(), started_at=EPOCH)) == pytest.approx(expected_s)
        assert running_wait_s(replace(flow(), started_at=EPOCH)) == 0.0


def test_a_stream_of_some_seconds_is_written_a_few_times() -> None:
    written_s: list[float] = []
    due_s = float("inf")
    # A state comes every two seconds, and keeps the time of the one that waits.
    for at_s in range(0, 16, 2):
        if due_s <= at_s:
            written_s.append(due_s)
            due_s = float("inf")
        with time_machine.travel(EPOCH + at_s, tick=False):
            wait_s = running_wait_s(replace(live(), started_at=EPOCH))
        due_s = min(due_s, at_s + wait_s)
    assert written_s == [5.0, 12.0]
