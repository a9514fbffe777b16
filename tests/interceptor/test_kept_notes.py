"""Events in the database: bounds, reservation by flows, expiry."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from interceptor.config.files.server import ServerSettings
from interceptor.kept_notes import KeptNotes, NoteLimits, note_limits
from interceptor.models import NotifyEvent, NotifyTask
from interceptor.notes.notification import Notification
from interceptor.recorder.asking import RecorderRefused

pytestmark = pytest.mark.django_db


class Clock:
    now = datetime(2026, 11, 20, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def tick(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def note(summary: str, task: str = "t", session: str = "s", **more: str) -> Notification:
    return Notification(task, session, json.dumps({"summary": summary}), **more)


def kept(clock: Any = None, **limits: Any) -> KeptNotes:
    return KeptNotes(NoteLimits(**limits), now=clock or Clock())


def taken(notes: KeptNotes, session: str = "s", flow: str = "f1") -> list[list[str]]:
    found = notes.take(session, flow)
    return [[json.loads(event)["summary"] for event in task.events] for task in found]


def test_a_flow_has_its_events_alone() -> None:
    notes = kept()
    assert notes.add(note("a")) is True
    assert notes.add(note("b")) is False
    notes.add(note("c", task="u"))
    notes.add(note("d", task="v", session="other"))
    assert notes.sessions() == {"s", "other"}
    assert taken(notes) == [["a", "b"], ["c"]]
    assert taken(notes, flow="f2") == []
    # Another attempt of the same flow gets them again.
    assert taken(notes) == [["a", "b"], ["c"]]
    notes.settle("f1", delivered=False)
    assert taken(notes, flow="f2") == [["a", "b"], ["c"]]
    notes.add(note("later"))
    notes.settle("f2", delivered=True)
    assert taken(notes, flow="f3") == [["later"]]
    notes.settle("f3", delivered=True)
    assert notes.sessions() == {"other"}
    assert NotifyTask.objects.get(task_id="t").kept == 0


def test_both_ids_of_a_session_count() -> None:
    notes = kept()
    notes.add(note("a", claude_session_id="uuid"))
    notes.add(note("b"))
    assert notes.sessions() == {"s", "uuid"}
    assert taken(notes, session="uuid") == [["a", "b"]]
    assert taken(notes, session="") == []
    assert taken(notes, session="a\0b") == []


def test_the_oldest_are_dropped_and_counted() -> None:
    notes = kept(events_per_task=3)
    for number in range(3):
        notes.add(note(str(number)))
    assert taken(notes) == [["0", "1", "2"]]
    notes.settle("f1", delivered=False)
    for number in range(3, 6):
        notes.add(note(str(number)))
    (found,) = notes.take("s", "f1")
    assert [json.loads(event)["summary"] for event in found.events] == ["4", "5"]
    assert (found.dropped, found.max_events) == (4, 3)
    notes.settle("f1", delivered=True)
    notes.add(note("new"))
    assert notes.take("s", "f2")[0].dropped == 0


def test_silent_tasks_expire() -> None:
    clock = Clock()
    notes = kept(clock, ttl_s=600)
    notes.add(note("a"))
    clock.tick(500)
    notes.add(note("b", task="u"))
    clock.tick(200)
    assert notes.sessions() == {"s"}
    assert taken(notes) == [["b"]]
    clock.tick(700)
    assert notes.sessions() == frozenset()
    assert not NotifyEvent.objects.exists()


def test_a_lease_ends() -> None:
    clock = Clock()
    notes = kept(clock, ttl_s=10_000)
    notes.add(note("a"))
    assert taken(notes, flow="lost") == [["a"]]
    clock.tick(14 * 60)
    assert taken(notes, flow="next") == []
    clock.tick(2 * 60)
    assert taken(notes, flow="next") == [["a"]]


def test_tasks_and_bytes_are_bounded() -> None:
    clock = Clock()
    notes = kept(clock, tasks=2, total_bytes=300)
    for name in ("t1", "t2", "t3"):
        clock.tick(1)
        notes.add(note("x", task=name))
    assert set(NotifyTask.objects.values_list("task_id", flat=True)) == {"t2", "t3"}
    with pytest.raises(RecorderRefused, match="too many"):
        notes.add(note("y" * 300))
    notes.add(note("small"))


def test_secrets_are_cut_out() -> None:
    notes = KeptNotes(NoteLimits(), lambda text: text.replace("canary", "‹redacted›"))
    notes.add(note("the canary sings"))
    assert "canary" not in NotifyEvent.objects.get().event


def test_the_settings_are_the_limits() -> None:
    found = note_limits(
        ServerSettings.model_validate(
            {"mcp": {"buffer": {"max_events_per_task": 7, "ttl_seconds": 60}}}
        )
    )
    assert (found.events_per_task, found.ttl_s) == (7, 60)
