"""Reports of tests that pass arrive late and together, all others at once, and none is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import report_batches
from tests.report_batches import BatchingChannel, Event, unpacking

PASSED, FAILED, MARK, COMPLETE = "passed", "failed", "logstart", "runtest_protocol_complete"


def report(outcome: str, number: int = 0, **more: Any) -> Event:
    nothing: dict[str, Any] = {"sections": [], "user_properties": []}
    data = {"outcome": outcome, "nodeid": f"test_{number}", "keywords": {"test": 1}}
    return "testreport", {"data": data | nothing | more}


def event(kind: str, number: int) -> Event:
    is_report = kind in (PASSED, FAILED)
    return report(kind, number) if is_report else (kind, {"nodeid": f"test_{number}"})


class Wire:
    """What a worker has sent, read as the controller does."""

    def __init__(self) -> None:
        self.messages: list[Event] = []
        self.received: list[Event] = []
        self._take = unpacking(self.received.append)

    def send(self, message: Event) -> None:
        self.messages.append(message)
        self._take(message)


def names(events: list[Event]) -> list[str]:
    return [f"{name} {values.get('nodeid') or values['data']['nodeid']}" for name, values in events]


@given(
    kinds=st.lists(st.sampled_from([PASSED, PASSED, FAILED, MARK, COMPLETE])),
    is_verbose=st.booleans(),
)
def test_all_arrive_in_their_order(kinds: list[str], is_verbose: bool) -> None:
    wire = Wire()
    channel = BatchingChannel(wire, is_verbose=is_verbose)
    sent = [event(kind, number) for number, kind in enumerate([*kinds, COMPLETE])]
    for each in sent:
        channel.send(each)
    shown = [each for each in sent if is_verbose or each[0] != MARK]
    assert names(wire.received) == names(shown)


def test_passes_wait_for_what_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_batches, "LONGEST_S", float("inf"))
    wire = Wire()
    channel = BatchingChannel(wire, is_verbose=False)
    for number in range(3):
        channel.send(report(PASSED, number))
    assert wire.messages == []
    channel.send(report(PASSED, 3, sections=[("Captured stdout call", "words")]))
    channel.send(report(PASSED, 4, user_properties=[("bytes", b"words")]))
    assert [len(json.loads(wire.messages[0][1]["events"])), len(wire.messages)] == [3, 3]


def test_none_waits_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_batches, "LONGEST_S", -1.0)
    wire = Wire()
    BatchingChannel(wire, is_verbose=False).send(report(PASSED))
    assert names(wire.received) == ["testreport test_0"]
