"""Notifications in the database, for all proxies: bounded, and kept over a restart.

An event is free, taken by a flow, or gone. A flow that takes a session's events has them alone;
it deletes them when it succeeds and frees them when it fails. What a flow took long ago is free.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import connection, transaction
from django.db.models import Count, F, Q, QuerySet, Sum

from interceptor.config.files.server import ServerSettings
from interceptor.models import NotifyEvent, NotifyTask
from interceptor.notes.note_book import TaskEvents
from interceptor.notes.notification import Notification
from interceptor.recorder.asking import RecorderRefused
from providers.models import ConfigRevision

logger = logging.getLogger(__name__)

LEASE: Final = timedelta(minutes=15)
MAX_READ: Final = 500
"""Newest events of a task that a flow reads; it takes all of them."""
_COUNT_EVERY: Final = 100


@dataclass(frozen=True, slots=True)
class NoteLimits:
    """Bounds of what is kept."""

    events_per_task: int = 65_536
    ttl_s: float = 600.0
    tasks: int = 1_000
    total_bytes: int = 64 * 1024 * 1024


def note_limits(settings: ServerSettings) -> NoteLimits:
    """Return how many events of other programs are kept, and how long."""
    buffer = settings.mcp.buffer
    return NoteLimits(events_per_task=buffer.max_events_per_task, ttl_s=buffer.ttl_seconds)


class KeptNotes:
    """The events of all tasks. Its methods block.

    Args:
        limits: bounds.
        redact: removes secrets from a text.
        now: the time.
    """

    def __init__(
        self,
        limits: NoteLimits,
        redact: Callable[[str], str] = str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._limits, self._redact, self._now = limits, redact, now
        self._total_bytes = 0
        self._added = 0

    def sessions(self) -> frozenset[str]:
        """Return the sessions for which events wait, under both of their ids."""
        self._expire()
        waiting = NotifyTask.objects.filter(kept__gt=0)
        pairs = waiting.values_list("session_id", "claude_session_id")
        return frozenset(name for pair in pairs for name in pair if name)

    def add(self, note: Notification) -> bool:
        """Keep an event; True when its session had none before.

        Raises:
            RecorderRefused: there is no room.
        """
        self._expire()
        event = self._redact(note.event)
        self._check_room(len(event))
        with transaction.atomic():
            task, is_new = NotifyTask.objects.get_or_create(
                task_id=note.task_id,
                defaults={"session_id": note.session_id, "last_seen": self._now()},
            )
            had_none = is_new or not task.kept
            task.last_seen = self._now()
            task.claude_session_id = note.claude_session_id or task.claude_session_id
            task.kept += 1
            NotifyEvent.objects.create(task=task, event=event, size_bytes=len(event))
            self._drop_oldest(task)
            task.save()
        if is_new:
            self._drop_tasks()
        return had_none

    def take(self, session_id: str, flow_id: str) -> list[TaskEvents]:
        """Reserve the free events of a session for a flow, and return them by task."""
        if not session_id or "\0" in session_id:
            return []
        of_session = Q(task__session_id=session_id) | Q(task__claude_session_id=session_id)
        of_tasks = NotifyEvent.objects.filter(of_session).values_list("task_id", flat=True)
        task_ids: list[int] = list(of_tasks.distinct())
        free = Q(taken_by="") | Q(taken_at__lt=self._now() - LEASE)
        # One statement: of two processes one gets an event.
        wanted = NotifyEvent.objects.filter(free, task_id__in=task_ids)
        wanted.update(taken_by=flow_id, taken_at=self._now())
        return [
            self._taken(task, flow_id)
            for task in NotifyTask.objects.filter(pk__in=task_ids).order_by("pk")
            if NotifyEvent.objects.filter(task=task, taken_by=flow_id).exists()
        ]

    def settle(self, flow_id: str, *, delivered: bool) -> None:
        """Delete what a flow took, or free it."""
        taken = NotifyEvent.objects.filter(taken_by=flow_id)
        if not delivered:
            taken.update(taken_by="", taken_at=None)
            return
        with transaction.atomic():
            counts = list(taken.values("task").annotate(number=Count("pk")))
            taken.delete()
            for row in counts:
                task = NotifyTask.objects.filter(pk=row["task"])
                # The marker of an overflow was delivered too.
                task.update(kept=F("kept") - row["number"], dropped=0)

    def _taken(self, task: NotifyTask, flow_id: str) -> TaskEvents:
        events = NotifyEvent.objects.filter(task=task, taken_by=flow_id)
        newest = list(events.order_by("-pk").values_list("event", flat=True)[:MAX_READ])
        return TaskEvents(
            task_id=task.task_id,
            session_id=task.session_id,
            events=tuple(reversed(newest)),
            left_out=events.count() - len(newest),
            dropped=task.dropped,
            max_events=self._limits.events_per_task,
        )

    # Bounds

    def _expire(self) -> None:
        oldest = self._now() - timedelta(seconds=self._limits.ttl_s)
        self._delete(NotifyTask.objects.filter(last_seen__lt=oldest))

    def _delete(self, tasks: QuerySet[NotifyTask]) -> None:
        ids = list(tasks.values_list("pk", flat=True))
        if ids:
            NotifyEvent.objects.filter(task__in=ids).delete()
            NotifyTask.objects.filter(pk__in=ids).delete()

    def _drop_oldest(self, task: NotifyTask) -> None:
        """Keep the newest events of a task: one less than the limit, for the marker's place."""
        limit = self._limits.events_per_task
        allowed = limit - 1 if task.dropped else limit
        if task.kept <= allowed:
            return
        surplus = task.kept - (limit - 1)
        events = NotifyEvent.objects.filter(task=task).order_by("pk")
        oldest = list(events.values_list("pk", flat=True)[:surplus])
        NotifyEvent.objects.filter(pk__in=oldest).delete()
        task.kept -= len(oldest)
        task.dropped += len(oldest)

    def _drop_tasks(self) -> None:
        newest_first = NotifyTask.objects.order_by("-last_seen", "-pk")
        surplus = list(newest_first.values_list("pk", flat=True)[self._limits.tasks :])
        self._delete(NotifyTask.objects.filter(pk__in=surplus))

    def _check_room(self, size_bytes: int) -> None:
        # A sum over all rows for each event would take longer than storing it.
        if self._added % _COUNT_EVERY == 0:
            total = NotifyEvent.objects.aggregate(total=Sum("size_bytes"))["total"]
            self._total_bytes = total or 0
        self._added += 1
        self._total_bytes += size_bytes
        if self._total_bytes > self._limits.total_bytes:
            self._added = 0
            raise RecorderRefused("too many notifications wait; some have to be delivered first")


class DatabaseNotes:
    """The recorder's end: asks `KeptNotes` on threads, one question after the other.

    Args:
        kept: the events.
        on_sessions: called on the loop when other sessions than before have events.
    """

    def __init__(self, kept: KeptNotes, on_sessions: Callable[[frozenset[str]], None]) -> None:
        self.sessions: frozenset[str] = frozenset()
        self._kept = kept
        self._on_sessions = on_sessions
        self._lock = asyncio.Lock()

    async def look(self) -> None:
        """Read which sessions have events, also of other machines."""
        async with self._lock:
            self._note(await asyncio.to_thread(_closing, self._kept.sessions))

    async def add(self, note: Notification) -> None:
        """Keep an event.

        Raises:
            RecorderRefused: there is no room.
        """
        async with self._lock:
            is_first = await asyncio.to_thread(_closing, lambda: self._add(note))
            if is_first or note.claude_session_id not in {"", *self.sessions}:
                self._note(await asyncio.to_thread(_closing, self._kept.sessions))

    def _add(self, note: Notification) -> bool:
        is_first = self._kept.add(note)
        if is_first and connection.vendor != "sqlite":
            # Other machines look when the number of the configuration changes.
            ConfigRevision.bump()
        return is_first

    async def take(self, session_id: str, flow_id: str) -> list[TaskEvents]:
        """Reserve the events of a session for a flow."""
        async with self._lock:
            return await asyncio.to_thread(_closing, lambda: self._kept.take(session_id, flow_id))

    async def settle(self, flow_id: str, delivered: bool) -> None:
        """Delete what a flow took, or free it."""
        async with self._lock:
            await asyncio.to_thread(
                _closing, lambda: self._kept.settle(flow_id, delivered=delivered)
            )
            self._note(await asyncio.to_thread(_closing, self._kept.sessions))

    def _note(self, sessions: frozenset[str]) -> None:
        if sessions != self.sessions:
            self.sessions = sessions
            self._on_sessions(sessions)


def _closing[R](work: Callable[[], R]) -> R:
    try:
        return work()
    finally:
        connection.close()  # the thread may never be asked again
