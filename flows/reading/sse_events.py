"""Server-sent events of a stored stream, each with the time its last byte passed. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from providers.base.errors import BadUpstreamStream
from providers.wire.answer_form import is_events
from providers.wire.core.sse import SseParser

# Nothing, or an empty object, does not contradict a label.
_FILLED_JSON: Final = re.compile(rb"[\xef\xbb\xbf\s]*[{\[]\s*[\"{\[]")
_SEARCHED_BYTES: Final = 64 * 1024
_BLANK_LINES: Final = (b"\n\n", b"\r\n\r\n", b"\r\r")
_DATA_FIELDS: Final = (b"data:", b"error:")
_TAIL_BYTES: Final = 16 * 1024
_BOM: Final = b"\xef\xbb\xbf"


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
    """Recognise a stream of server-sent events by its bytes, with its label as a hint.

    Servers label streams as JSON or as text, and JSON as a stream.
    """
    if _FILLED_JSON.match(body):
        return False
    if content_type.strip().lower().startswith("text/event-stream"):
        return True
    if not content_type and body.startswith((b"data:", b"event:")):
        return True
    return is_events(body) and _has_object(body[:_SEARCHED_BYTES])


def _has_object(start: bytes) -> bool:
    """Check for an event whose data is JSON: other texts may begin with `id:` as well."""
    parser = SseParser()
    try:
        events = [*parser.feed(start), *parser.flush()]
    except BadUpstreamStream:
        return False
    return any(event.data.lstrip().startswith((b"{", b"[{")) for event in events)


def count_events(body: bytes) -> int:
    r"""Return about the number of events in a stream, without parsing it.

    Each event ends with a blank line and has a line of data. A comment has none of the latter, and
    one event may have several, so that the smaller number counts.

        b": hello\n\ndata: 1\n\ndata: 2\n\n" → 2
    """
    # Running streams are counted again and again, and nearly none has a carriage return.
    has_returns = b"\r" in body
    ends = sum(body.count(end) for end in (_BLANK_LINES if has_returns else _BLANK_LINES[:1]))
    if not body.endswith(_BLANK_LINES):
        ends += 1
    lines = body.count(b"\ndata:")
    if has_returns:
        lines += body.count(b"\rdata:")
    # llama.cpp's field for a failure, which ends a stream.
    if body.find(b"\nerror:", max(len(body) - _TAIL_BYTES, 0)) >= 0:
        lines += 1
    if body.removeprefix(_BOM).startswith(_DATA_FIELDS):
        lines += 1
    return min(ends, lines)
