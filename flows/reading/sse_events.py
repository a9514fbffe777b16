"""Server-sent events of a stored stream, each with the time its last byte passed. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from providers.base.errors import BadUpstreamStream
from providers.wire.core.sse import SseParser


@dataclass(frozen=True, slots=True)
class TimedEvent:
    """One event.

    Times are milliseconds since the flow began; None when the stream's chunks were not timed.
    """

    number: int
    event: str
    data: bytes
    at_ms: float | None
    gap_ms: float | None


@dataclass(frozen=True, slots=True)
class EventList:
    """All events of a body. `note` says in a sentence where reading stopped early, or is empty."""

    events: tuple[TimedEvent, ...]
    note: str = ""


def timed_events(
    body: bytes, chunk_times: Sequence[Sequence[float]], *, compressed: bool = False
) -> EventList:
    """Events of a decoded body. `chunk_times` are [offset of a chunk's first byte, ms]; offsets
    count wire bytes, so a compressed stream has no times.
    """
    parser = SseParser()
    note = ""
    try:
        found = [*parser.feed(body), *parser.flush()]
    except BadUpstreamStream as exc:
        found, note = [], str(exc)
    starts = [] if compressed else [int(chunk[0]) for chunk in chunk_times]
    events: list[TimedEvent] = []
    before: float | None = None
    for number, event in enumerate(found, 1):
        # The chunk that holds the event's last byte is the last one that starts before the event's
        # end.
        at = bisect_left(starts, event.end_offset) - 1
        at_ms = float(chunk_times[at][1]) if at >= 0 else None
        gap_ms = at_ms - before if at_ms is not None and before is not None else None
        events.append(TimedEvent(number, event.event, event.data, at_ms, gap_ms))
        before = at_ms
    return EventList(tuple(events), note)


def looks_like_events(content_type: str, body: bytes) -> bool:
    """Whether a body is a server-sent event stream: by its type, or by how it starts when the type
    is missing.
    """
    if content_type:
        return content_type.lower().startswith("text/event-stream")
    return body[:6].startswith((b"data:", b"event:"))
