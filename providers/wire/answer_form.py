"""The form of a response body, seen from its bytes, and the failure that a body reports.

Labels are missing or wrong at many servers: a stream as `application/json`, JSON as
`text/event-stream`.
"""

from __future__ import annotations

import re
from typing import Final

from providers.base.errors import BadUpstreamStream
from providers.wire.core.event_json import lenient_loads
from providers.wire.core.ir import Failure
from providers.wire.core.sse import SseParser
from providers.wire.failures.reported_failure import (
    failure_of_event,
    mentions_failure,
    reported_failure,
)

TAIL_BYTES: Final = 16 * 1024
"""Bytes at a stream's end where a failure stands that ended it."""
SMALL_BYTES: Final = 64 * 1024
_SWITCHING_PROTOCOLS: Final = 101
BLANK: Final = b"\xef\xbb\xbf \t\r\n"
"""Bytes before a response that say nothing: white space, and those of a byte order mark."""
_FIRST_SIGN: Final = re.compile(b"[^" + BLANK + b"]")
_STARTS: Final = (b"data:", b"event:", b":", b"id:", b"retry:", b"error:")
_FIELDS: Final = (b"event: error", b"event:error", b"error:")
# A field stands at the beginning of a line; texts have such words anywhere.
_MARKS: Final = (b'"error', b'failed"', b'cancelled"', *(b"\n" + field for field in _FIELDS))
_LINE_ENDS: Final = (b"\n\n", b"\r\n\r\n", b"\r\r")
_EVENT_END: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LONGEST_EVENT: Final = 1024 * 1024


def is_events(body: bytes) -> bool:
    """Check whether a body is a stream of server-sent events."""
    return _begins_with(body, _STARTS)


def is_json(beginning: bytes) -> bool | None:
    """Check whether a body is a JSON object or array; None if its beginning is too short to tell.

    Some servers send blank lines for as long as the model works, so any number may come first.

    Example: b"\\n[{" → True, b"data: {}" → False, b"\\xef\\xbb\\xbf" → None.
    """
    begin = _FIRST_SIGN.search(beginning)
    return begin[0] in (b"{", b"[") if begin else None


def _begins_with(body: bytes, fields: tuple[bytes, ...]) -> bool:
    begin = _FIRST_SIGN.search(body)
    return begin is not None and body.startswith(fields, begin.start())


def failure_in_answer(body: bytes, status: int, *, start: int = 0) -> Failure | None:
    """Return the failure that a complete, decoded body reports. Never raises.

    A stream counts with any status. A JSON body counts with a status of success only, because any
    other status says so itself. `start` is the offset in the stream from which on to look.
    """
    if is_events(body):
        return _failure_in_stream(body, start)
    if status >= 400 or not mentions_failure(body):
        return None
    try:
        return reported_failure(lenient_loads(body))
    except (ValueError, RecursionError):
        return None


def failure_in_message(message: bytes) -> Failure | None:
    """Return the failure that a provider reports in one message of a websocket."""
    return failure_in_answer(message, _SWITCHING_PROTOCOLS)


def failure_in_small_message(message: bytes) -> Failure | None:
    """Return a failure as `failure_in_message` does, of at most 64 KB: for the event loop."""
    return failure_in_message(message) if len(message) <= SMALL_BYTES else None


def failure_at_end(body: bytes, status: int) -> Failure | None:
    """Return a failure as `failure_in_answer` does, in constant time: for the event loop.

    It sees the last 16 KB of a stream, and JSON bodies of at most 64 KB.
    """
    if is_events(body):
        return _failure_in_stream(body, max(len(body) - TAIL_BYTES, 0))
    return failure_in_answer(body, status) if len(body) <= SMALL_BYTES else None


def _failure_in_stream(body: bytes, start: int) -> Failure | None:
    """Parse the events that have a mark of a failure, and no other ones."""
    marks = _Marks(body, start)
    floor = max(start - _LONGEST_EVENT, 0)
    position = marks.next_after(start)
    if start == 0 and _begins_with(body, _FIELDS):
        position = 0
    while position is not None:
        begin = _event_begin(body, floor, position)
        match = _EVENT_END.search(body, position)
        floor = match.end() if match else len(body)
        failure = _failure_of_events(body[begin:floor])
        if failure is not None:
            return failure
        position = marks.next_after(floor)
    return None


def _event_begin(body: bytes, floor: int, position: int) -> int:
    """Return the offset of the event that holds a position: after the blank line before it."""
    begin = floor
    for end in _LINE_ENDS:
        found = body.rfind(end, begin, position)
        if found >= 0:
            begin = found + len(end)
    return begin


class _Marks:
    """Offsets of the marks. Each mark is searched again only once it has been passed.

    So the cost stays linear, however many marks there are.
    """

    def __init__(self, body: bytes, start: int) -> None:
        self._body = body
        self._next = {mark: self._find(mark, start) for mark in _MARKS}

    def next_after(self, start: int) -> int | None:
        """Return the offset of the next mark, or None."""
        for mark, position in self._next.items():
            if 0 <= position < start:
                self._next[mark] = self._find(mark, start)
        found = [position for position in self._next.values() if position >= 0]
        return min(found, default=None)

    def _find(self, mark: bytes, start: int) -> int:
        # The line end before a field belongs to the line before it.
        before = 1 if mark.startswith(b"\n") else 0
        found = self._body.find(mark, max(start - before, 0))
        return found + before if found >= 0 else -1


def _failure_of_events(part: bytes) -> Failure | None:
    parser = SseParser()
    try:
        events = [*parser.feed(part), *parser.flush()]
    except BadUpstreamStream:
        return None
    found = (failure_of_event(event) for event in events)
    return next((failure for failure in found if failure is not None), None)
