"""Server-sent events: an incremental parser and a serialiser.

Follows the WHATWG HTML standard, "Interpreting an event stream",
https://html.spec.whatwg.org/multipage/server-sent-events.html: lines end with CRLF, LF or CR, a
leading BOM is dropped, `data` lines are joined by LF, comments and unknown fields are ignored, an
event without data is not dispatched. Additions: `flush()` returns an event without its blank line,
because some providers leave the last blank line out; a field `error` is an event of that name,
because llama.cpp reports failures so; spaces before the first field are skipped.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from providers.base.errors import BadUpstreamStream

MAX_LINE_BYTES: Final = 8 * 1024 * 1024
MAX_EVENT_BYTES: Final = 64 * 1024 * 1024

_USUAL: Final = re.compile(rb"(?:event: ([^\r\n]*+)\n)?+data: ([^\r\n]*+)\n\n")
"""An event of the form that most providers send; nothing in it is read twice."""

# A byte order mark, and the spaces with which some servers keep a connection alive.
_BLANK: Final = b"\xef\xbb\xbf \t"


class SseEvent(NamedTuple):
    """One dispatched event.

    `end_offset` counts bytes from the stream's start to the end of the event's blank line.
    """

    data: bytes
    event: str = ""
    id: str = ""
    end_offset: int = 0


class SseParser:
    """Parser of bytes in any chunking.

    Raises `BadUpstreamStream` for a line or an event beyond the limits. A CR at the end of a chunk
    ends its line at once; a LF at the start of the next chunk then belongs to it. The offset of
    such an event excludes that LF.
    """

    __slots__ = (
        "_data",
        "_data_bytes",
        "_event",
        "_id",
        "_offset",
        "_rest",
        "_skip_lf",
        "_started",
        "max_line_bytes",
    )

    def __init__(self, *, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self.max_line_bytes = max_line_bytes
        self._rest = bytearray()  # an unfinished line
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._event = ""
        self._id = ""
        self._offset = 0  # bytes of whole lines taken so far
        self._skip_lf = False
        self._started = False

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Take the next bytes; return the events they complete."""
        if not chunk:
            return []
        if self._skip_lf:
            self._skip_lf = False
            if chunk[:1] == b"\n":
                self._offset += 1
                chunk = chunk[1:]
                if not chunk:
                    return []
        if self._rest:
            return self._feed_after_rest(chunk)
        usual = self._usual_event(chunk)
        return self._take_events(chunk) if usual is None else [usual]

    def _take_events(self, chunk: bytes) -> list[SseEvent]:
        """Take many events: those of the usual form at once, what is behind them line by line."""
        events: list[SseEvent] = []
        start = 0
        # Earlier lines may belong to the first event.
        usual = None if self._data or self._event else _USUAL.match(chunk)
        while usual is not None and usual.end() - start <= self.max_line_bytes:
            name, data = usual.groups(b"")
            self._offset += usual.end() - start
            self._started = True
            event = name.decode("utf-8", "replace") if name else ""
            events.append(SseEvent(data, event, self._id, self._offset))
            start = usual.end()
            usual = _USUAL.match(chunk, start)
        if start < len(chunk):
            events += self._take_lines(chunk[start:])
        return events

    def _usual_event(self, chunk: bytes) -> SseEvent | None:
        """Return the event of a chunk that holds exactly one of the usual form; else None.

        b'data: {…}\\n\\n', b'event: ping\\ndata: {…}\\n\\n'; nearly every chunk of a stream is one.
        """
        # The first event of a stream may have a byte order mark; earlier lines may belong to this.
        if not self._started or self._data or self._event:
            return None
        end = last = len(chunk) - 2
        # Google ends its lines with CRLF.
        carriage = chunk.find(b"\r")
        if carriage >= 0:
            end, last = carriage, carriage + 1
            if chunk[end:] != b"\r\n\r\n":
                return None
        start, name = 6, ""
        if not chunk.startswith(b"data: "):
            line_end = chunk.find(b"\n")
            start = line_end + 7
            if not chunk.startswith(b"event: ") or chunk[line_end + 1 : start] != b"data: ":
                return None
            name = chunk[7:line_end].decode("utf-8", "replace")
        # No other line ends inside of the data.
        is_one = chunk.find(b"\n", start) == last and chunk.endswith(b"\n")
        if not is_one or end > self.max_line_bytes:
            return None
        self._offset += len(chunk)
        return SseEvent(chunk[start:end], name, self._id, self._offset)

    def flush(self) -> list[SseEvent]:
        """End the stream. Return the event without its blank line, if it has data."""
        events: list[SseEvent] = []
        if self._rest:
            line, self._rest = bytes(self._rest), bytearray()
            self._offset += len(line)
            self._field(line)
        if self._data:
            self._dispatch(events)
        return events

    def _feed_after_rest(self, chunk: bytes) -> list[SseEvent]:
        # Searching only the new bytes keeps a line that arrives byte by byte linear.
        if b"\n" not in chunk and b"\r" not in chunk:
            self._rest += chunk
            self._check_line(len(self._rest))
            return []
        whole = bytes(self._rest) + chunk
        self._rest = bytearray()
        return self._take_events(whole)

    def _take_lines(self, buffer: bytes) -> list[SseEvent]:
        events: list[SseEvent] = []
        start, size, base = 0, len(buffer), self._offset
        # Positions of the next LF and CR. Each is searched again only once it has been passed, so
        # that hostile line ends cost linear time.
        lf = cr = -1
        while start < size:
            if lf < start:
                lf = buffer.find(b"\n", start)
                lf = size + 1 if lf < 0 else lf
            if cr < start:
                cr = buffer.find(b"\r", start)
                cr = size + 1 if cr < 0 else cr
            end = min(lf, cr)
            if end > size:
                break
            # CRLF is one line end. Its CR may end one chunk and its LF begin the next.
            is_crlf = cr == end and lf == end + 1
            after = end + 2 if is_crlf else end + 1
            self._skip_lf = after == size and end == cr == size - 1
            self._offset = base + after
            self._take_line(buffer[start:end], events)
            start = after
        if start < size:
            self._rest += buffer[start:]
            self._check_line(size - start)
        return events

    def _take_line(self, line: bytes, events: list[SseEvent]) -> None:
        if line or not self._started:
            self._check_line(len(line))
            self._field(line)
        elif self._data:
            self._dispatch(events)
        else:
            self._event = ""

    def _field(self, line: bytes) -> None:
        if not self._started:
            line = line.lstrip(_BLANK)
            if not line:
                return
            self._started = True
        # Nearly every line of a provider looks like this.
        if line[:6] == b"data: ":
            self._add_data(line[6:])
            return
        name, colon, value = line.partition(b":")
        if not name and colon:
            return  # a comment
        # The standard removes one space after the colon, and only one.
        if value[:1] == b" ":
            value = value[1:]
        if name == b"data":
            self._add_data(value)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"error":
            self._error(value)
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")

    def _error(self, value: bytes) -> None:
        """Take llama.cpp's field for a failure as an event of that name.

        `error: {"message": "gpu lost"}` → event `error` with that object as its data.
        """
        self._event = "error"
        self._data = []
        self._data_bytes = 0
        self._add_data(value)

    def _add_data(self, value: bytes) -> None:
        self._data.append(value)
        self._data_bytes += len(value)
        if self._data_bytes > MAX_EVENT_BYTES:
            raise BadUpstreamStream(
                f"The stream has an event of more than {MAX_EVENT_BYTES // 2**20} MB."
            )

    def _dispatch(self, events: list[SseEvent]) -> None:
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        events.append(SseEvent(data, self._event, self._id, self._offset))
        self._data = []
        self._data_bytes = 0
        self._event = ""

    def _check_line(self, size: int) -> None:
        if size > self.max_line_bytes:
            raise BadUpstreamStream(
                f"The stream has a line of more than {self.max_line_bytes} bytes."
            )


def serialise(data: bytes, event: str = "", event_id: str = "") -> bytes:
    """Serialise one event, with a data line for each line of `data` (CRLF, LF or CR)."""
    head = b""
    if event_id:
        head = b"id: " + event_id.encode() + b"\n"
    if event:
        head += b"event: " + event.encode() + b"\n"
    if b"\n" not in data and b"\r" not in data:
        return head + b"data: " + data + b"\n\n"
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return head + b"".join(b"data: " + line + b"\n" for line in lines) + b"\n"
