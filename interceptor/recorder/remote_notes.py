"""Notifications that the recorder keeps for a proxy."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict
from typing import Any

from interceptor.notes.note_book import TaskEvents
from interceptor.notes.notification import Notification
from interceptor.recorder.asking import Recorder, RecorderAway, RecorderRefused

logger = logging.getLogger(__name__)

TIMEOUT_S = 5.0
_FAILURES = (RecorderAway, RecorderRefused, TimeoutError)


class RemoteNotes:
    """Book of a proxy without a database; implements `interceptor.notes.note_book.NoteBook`.

    Args:
        recorder: has the database.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._sessions: frozenset[str] = frozenset()
        self._takers: set[str] = set()
        """Flows that took events and have not settled them."""
        self._settling: set[asyncio.Task[None]] = set()

    def hear(self, sessions: frozenset[str]) -> None:
        """Take the sessions for which events wait, whenever they change."""
        self._sessions = sessions

    def waits_for(self, session_id: str) -> bool:
        """Return whether events may wait for a session."""
        return session_id in self._sessions

    async def add(self, notification: Notification) -> None:
        """Keep an event.

        Raises:
            RecorderAway: the recorder does not reply.
            RecorderRefused: it has no room, or its database is away.
        """
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._recorder.ask("note.add", **asdict(notification))
        except TimeoutError:
            raise RecorderAway("the recorder does not answer") from None

    async def take(self, session_id: str, flow_id: str) -> list[TaskEvents]:
        """Reserve the events of a session for a flow.

        Raises:
            RecorderAway: the recorder does not reply.
            RecorderRefused: its database is away.
        """
        self._takers.add(flow_id)
        try:
            found = await self._recorder.ask("note.take", session_id=session_id, flow_id=flow_id)
        except BaseException:
            # The recorder may have reserved them all the same.
            self.settle(flow_id, delivered=False)
            raise
        if not found["tasks"]:
            self._takers.discard(flow_id)
        return [task_events_of(values) for values in found["tasks"]]

    def settle(self, flow_id: str, *, delivered: bool) -> None:
        """Forget what a flow took, or give it back; does not wait."""
        if flow_id not in self._takers:
            return
        self._takers.discard(flow_id)
        task = asyncio.get_running_loop().create_task(self._settle(flow_id, delivered))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _settle(self, flow_id: str, delivered: bool) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._recorder.ask("note.settle", flow_id=flow_id, delivered=delivered)
        except _FAILURES as exc:
            # They are free again after a while by themselves.
            logger.warning("notifications of flow %s are not settled: %s", flow_id, exc)


def task_events_values(found: TaskEvents) -> dict[str, Any]:
    """Return the events of a task as values of a reply."""
    return asdict(found)


def task_events_of(values: dict[str, Any]) -> TaskEvents:
    """Return the events of a task in the values of a reply."""
    return TaskEvents(**{**values, "events": tuple(values["events"])})
