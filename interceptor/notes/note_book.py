"""Events that wait for a session, and the book that has them. No Django."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from interceptor.notes.notification import Notification


@dataclass(frozen=True, slots=True)
class TaskEvents:
    """Events of one task in their order, each a JSON object; at most the newest of them."""

    task_id: str
    session_id: str
    events: tuple[str, ...]
    left_out: int = 0
    """Older events of the task that were taken too and are not among them."""
    dropped: int = 0
    """Events that were dropped because the buffer was full."""
    max_events: int = 0


class NoteBook(Protocol):
    """Book of notifications. Called on the proxy's event loop, which it must not block."""

    def waits_for(self, session_id: str) -> bool:
        """Return whether events may wait for a session; looks into memory alone."""

    async def add(self, notification: Notification) -> None:
        """Keep an event.

        Raises:
            RecorderAway: it could not be kept.
            RecorderRefused: there is no room.
        """

    async def take(self, session_id: str, flow_id: str) -> list[TaskEvents]:
        """Reserve the events of a session for a flow; no other flow gets them meanwhile.

        Raises:
            RecorderAway: the recorder did not reply.
        """

    def settle(self, flow_id: str, *, delivered: bool) -> None:
        """Forget what a flow took, or give it back; does nothing for a flow that took nothing."""


class NoNotes:
    """Book in which no event ever waits."""

    def waits_for(self, session_id: str) -> bool:
        del session_id
        return False

    async def add(self, notification: Notification) -> None:
        del notification

    async def take(self, session_id: str, flow_id: str) -> list[TaskEvents]:
        del session_id, flow_id
        return []

    def settle(self, flow_id: str, *, delivered: bool) -> None:
        del flow_id, delivered
