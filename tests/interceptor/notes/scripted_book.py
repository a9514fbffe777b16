"""A book of events for one session, which keeps what it is asked."""

from __future__ import annotations

from typing import Any

from interceptor.notes.note_book import TaskEvents
from interceptor.notes.notification import Notification
from interceptor.recorder.asking import RecorderAway


class Book:
    """Events of the session "s", and what was asked."""

    def __init__(self, *events: str, is_away: bool = False) -> None:
        self.events, self.is_away = events, is_away
        self.calls: list[Any] = []

    def waits_for(self, session_id: str) -> bool:
        return session_id == "s"

    async def add(self, notification: Notification) -> None:
        raise AssertionError

    async def take(self, session_id: str, flow_id: str) -> list[TaskEvents]:
        self.calls.append(("take", session_id, flow_id))
        if self.is_away:
            raise RecorderAway("away")
        return [TaskEvents("t", session_id, self.events)] if self.events else []

    def settle(self, flow_id: str, *, delivered: bool) -> None:
        self.calls.append(("settle", flow_id, delivered))
