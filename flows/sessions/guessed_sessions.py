"""Sessions of clients that send no session id, for the list of sessions.

The recorder groups their flows by client, run, time and prefix (`FlowLink.session`). A question
that nothing continues is a session of one flow, and of no interest in the list.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple

from flows.flow_link import guessed_id
from flows.models import Flow, FlowLink
from flows.queries.cursor import Cursor

WINDOW_FLOWS: Final = 2000
"""Newest flows without a session id in which a page looks for sessions."""


class Dated(NamedTuple):
    """A session and the time of its newest request, in the order of the list."""

    newest: datetime
    id: str


class Guessed(NamedTuple):
    """Sessions in the window. `reached`: its end, None if there is nothing behind it."""

    sessions: list[Dated]
    reached: datetime | None


def newest_guessed(position: Cursor | None) -> Guessed:
    """Return the sessions that follow a position of the list; all without one. At most two queries.

    Example: the flows f1, f2 and f3 of which f2 continues f1 → the session "~f1" with f2's time.
    """
    flows = Flow.objects.filter(session_id="").order_by("-started_at")
    if position is not None:
        flows = flows.filter(started_at__lte=position.started_at)
    found: dict[str, Dated] = {}
    window = list(flows.values_list("pk", "started_at", "link__session")[:WINDOW_FLOWS])
    for flow_id, started_at, session in window:
        # The newest flow of a session comes first. A session's name is that of its first flow.
        if session and session != guessed_id(flow_id):
            found.setdefault(session, Dated(started_at, session))
    sessions = list(found.values())
    if position is not None:
        shown = _newer_than(position, found)
        sessions = [each for each in sessions if each < position and each.id not in shown]
    is_full = len(window) == WINDOW_FLOWS
    return Guessed(sessions, window[-1][1] if is_full else None)


def _newer_than(position: Cursor, sessions: Collection[str]) -> set[str]:
    """Return those of the sessions that have flows behind the window's start."""
    if not sessions:
        return set()
    newer = FlowLink.objects.filter(
        session__in=list(sessions), flow__started_at__gt=position.started_at
    )
    return set(newer.values_list("session", flat=True).distinct())
