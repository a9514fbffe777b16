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
    """All events of a body. `note` is a sentence if reading stopped early, else empty."""

    events: tuple[TimedEvent, ...]
    note: str = ""


def timed_events(
    body: bytes, chunk_times: Sequence[Sequence[float]], *, compressed: bool = False
) -> EventList:
    """Return the events of a decoded body with their times.

    `chunk_times` are [offset of a chunk's first byte, ms]. Offsets count bytes on the wire, so a
    compressed stream has no times. Example: chunks at [[0, 10], [50, 25]] and an event that ends at
    byte 60 → the event is at 25 ms.
    """
    parser = SseParser()
    try:
        parsed = [*parser.feed(body), *parser.flush()]
    except BadUpstreamStream as exc:
        return EventList((), str(exc))

    starts = [] if compressed else [int(chunk[0]) for chunk in chunk_times]
    events: list[TimedEvent] = []
    previous_ms: float | None = None
    for number, event in enumerate(parsed, 1):
        # The last chunk that starts before the event's end holds the event's last byte.
        index = bisect_left(starts, event.end_offset) - 1
        at_ms = float(chunk_times[index][1]) if index >= 0 else None
        gap_ms = None
        if at_ms is not None and previous_ms is not None:
            gap_ms = at_ms - previous_ms
        events.append(TimedEvent(number, event.event, event.data, at_ms, gap_ms))
        previous_ms = at_ms
    return EventList(tuple(events))


def looks_like_events(content_type: str, body: bytes) -> bool:
    """Recognise a stream of server-sent events by its type, or by its start if it has no type."""
    if content_type:
        return content_type.lower().startswith("text/event-stream")
    return body[:6].startswith((b"data:", b"event:"))
