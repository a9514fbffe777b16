"""The summary of a run waits until the record has its flows, and for nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from flows.figures.run_sums import RunSums
from interceptor.operate import liveness
from interceptor.operate.liveness import RecordWatch
from jail.run import run_totals
from jail.run.run_totals import STORE_S, WAIT_S, summary

NOTHING = RunSums(0, 0, 0, None, None, None, None, None)
ONE = NOTHING._replace(requests=1)
RUNNING = ONE._replace(running=1)


class Clock:
    """Time that passes while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Record:
    """Flows that are seen, and what is known of the record, from a time on."""

    def __init__(
        self, clock: Clock, sums: Mapping[float, RunSums], known: Mapping[float, bool | None]
    ):
        self.clock, self.sums, self.known = clock, sums, known

    def run_sums(self, read: object, run: str) -> RunSums:
        return self._at(self.sums)

    def is_stored(self) -> bool | None:
        return self._at(self.known)

    def _at[T](self, values: Mapping[float, T]) -> T:
        passed_s = self.clock.now - 100.0
        return [value for since_s, value in values.items() if since_s <= passed_s][-1]


@contextmanager
def no_database(_: object) -> Iterator[None]:
    yield


@pytest.mark.parametrize(
    ("sums", "known", "said", "at_s"),
    [
        # Everything is there: no wait at all.
        ({0: ONE}, {0: True}, "1 request", 0.0),
        # A slow machine stores the flow after five seconds, where it was called none before.
        ({0: NOTHING, 5: ONE}, {0: False, 5: True}, "1 request", 5.0),
        # Nothing came, and nothing is on its way.
        ({0: NOTHING}, {0: True}, "", 0.3),
        # A client that has just ended: its request was not recorded yet.
        ({0: NOTHING, 0.2: ONE}, {0: True}, "1 request", 0.2),
        # The database is away.
        ({0: NOTHING}, {0: False}, "", STORE_S),
        # Nobody tells: as long as before.
        ({0: NOTHING, 0.2: ONE}, {0: None}, "1 request", 0.3),
        ({0: RUNNING, 1: ONE}, {0: None}, "1 request", 1.0),
        # One flow goes on behind the command's end.
        ({0: RUNNING}, {0: True}, "1 request", WAIT_S),
    ],
)
def test_the_summary_waits_for_what_is_recorded(
    monkeypatch: pytest.MonkeyPatch,
    sums: dict[float, RunSums],
    known: dict[float, bool | None],
    said: str,
    at_s: float,
) -> None:
    clock = Clock()
    record = Record(clock, sums, known)
    monkeypatch.setattr(run_totals, "time", clock)
    monkeypatch.setattr(run_totals, "run_sums", record.run_sums)
    monkeypatch.setattr(run_totals, "reading", no_database)
    assert summary("run", {}, record.is_stored).partition(",")[0] == said
    assert clock.now - 100.0 == pytest.approx(at_s, abs=0.11)


def health(proxy: int, recorded: int, stored: int) -> dict[str, Any]:
    return {"record": {"proxy": proxy, "recorded": recorded, "stored": stored}}


def test_what_was_recorded_later_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [
        health(1, 100, 40),
        health(1, 900, 99),
        health(2, 50, 50),
        health(1, 900, 100),
        health(1, 900, 100) | {"recording": "the database does not take flows"},
        {},
    ]
    monkeypatch.setattr(liveness, "_health", lambda *_: answers.pop(0))
    watch = RecordWatch("127.0.0.1", 4000)
    assert [watch.is_stored() for _ in range(6)] == [False, False, True, True, None, None]
