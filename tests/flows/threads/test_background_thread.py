"""A background thread leaves the cores to others, and takes them back when it is asked to."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

import pytest

from flows.threads.background_thread import NICE, BackgroundThread, leave_cores_to_others
from tests.flows.records import eventually
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere a priority belongs to the whole process"
)


def nice() -> int:
    """The nice value of the calling thread."""
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


class Work:
    """Work that goes on until it is stopped, and notes with which priority."""

    def __init__(self) -> None:
        self.thread = BackgroundThread("work", self.run)
        self.runs: list[int] = []
        self.nice: int | None = None
        self.at_once = 0
        self.most_at_once = 0
        self.may_relax = False
        self.stopped = threading.Event()

    def run(self) -> None:
        """Do it."""
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.runs.append(nice())
        while not self.stopped.wait(0.002) and not self.thread.is_replaced:
            if self.may_relax:
                self.thread.relax()
            self.nice = nice()
        self.at_once -= 1

    def end(self) -> None:
        """Stop, and wait for it."""
        self.stopped.set()
        self.thread.join(PATIENCE_S)


@pytest.fixture
def work() -> Work:
    """Work that has not started."""
    return Work()


def in_a_thread(call: Callable[[], int]) -> int:
    """The result of a call in a thread of its own, whose priority does not matter any more."""
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join(PATIENCE_S)
    return found[0]


def test_the_thread_has_a_low_priority_and_its_starter_keeps_its_own(work: Work) -> None:
    before = nice()
    work.thread.start()
    eventually(lambda: work.nice == max(before, NICE))
    work.end()
    assert nice() == before


def test_a_hurried_thread_has_the_priority_of_its_starter_until_it_relaxes(work: Work) -> None:
    usual = nice()
    work.thread.start()
    eventually(lambda: bool(work.runs))
    work.thread.hurry()
    work.thread.hurry()
    eventually(lambda: work.nice == usual)
    assert work.runs == [max(usual, NICE), usual]
    work.may_relax = True
    eventually(lambda: work.nice == max(usual, NICE))
    work.may_relax = False
    work.thread.hurry()
    eventually(lambda: work.nice == usual)
    work.end()
    assert work.most_at_once == 1


def test_nothing_is_hurried_before_the_start_and_after_the_end(work: Work) -> None:
    work.thread.hurry()
    assert not work.runs
    work.thread.start()
    work.end()
    work.thread.hurry()
    assert len(work.runs) == 1


def test_a_lower_priority_is_kept() -> None:
    def lowered() -> int:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)
        leave_cores_to_others()
        return nice()

    assert in_a_thread(lowered) == 15


def test_a_system_that_refuses_keeps_the_thread_at_work(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse)
    work.thread.start()
    eventually(lambda: bool(work.runs))
    work.end()
