"""Shows flows while they run: tells the pages which rows moved, and passes on the bytes of streams
somebody watches.

Lossy on purpose and off the request's path: nothing here waits, raises or grows without bound. What
is lost here is in the database a moment later, and the pages ask there.

Groups: `flows` gets `{"type": "flows.row", "phase", "row"}`; `flow.<hex id>` gets
`{"type": "flow.delta", "offset", "next", "data"}` (offsets count bytes on the wire; `data` is
decompressed and without secrets, so its length may differ) and `{"type": "flow.state", "phase",
"row"}`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import wraps
from threading import Lock
from typing import Any, Final

from channels.layers import get_channel_layer

from flows.bytes.incremental import IncrementalDecoder
from flows.live.audience import listened_to
from flows.record import FlowDelta, FlowRecord
from flows.redaction.redactor import Redactor

logger = logging.getLogger(__name__)

LIST_GROUP: Final = "flows"
FLUSH_SECONDS: Final = 0.1
MAX_STREAM_BYTES: Final = 1024 * 1024
MAX_TOTAL_BYTES: Final = 64 * 1024 * 1024
MAX_STREAMS: Final = 4096
MAX_ROWS_PER_FLUSH: Final = 100
_OVERLAP_BYTES: Final = 512  # a secret may begin in one piece and end in the next

Segment = tuple[int, bytes]
"""(wire offset behind it, plain bytes)."""

_current: LiveBus | None = None


def current_bus() -> LiveBus | None:
    """The bus of this process, if the proxy runs in it."""
    return _current


def flow_group(flow_id: str) -> str:
    """The Channels group of one flow."""
    return "flow." + "".join(char for char in flow_id if char.isascii() and char.isalnum())


def _quiet[**P](method: Callable[P, None]) -> Callable[P, None]:
    """The proxy never fails because of a view."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(*args, **kwargs)
        except Exception:
            logger.debug("Live view: an update was lost", exc_info=True)

    return call


class _Stream:
    """The bytes of one running answer: raw ones as they came, and plain ones once somebody
    asked.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._decoder: IncrementalDecoder | None = IncrementalDecoder()
        self._lock = Lock()  # held for a moment only: the proxy's loop waits for it
        self._work = Lock()  # one at a time makes bytes plain, in their order
        self._raw: list[bytes] = []
        self._tail = b""
        self.segments: list[Segment] | None = []  # None: too long to keep
        self.next = 0  # wire offset behind all bytes
        self.taken = 0  # wire offset behind the plain ones
        self.size_bytes = 0

    def add(self, offset: int, data: bytes) -> None:
        """The next piece. After a hole nothing from the beginning can be told any more."""
        with self._lock:
            if offset != self.next:
                self._forget(offset)
            self._raw.append(data)
            self.next = offset + len(data)
            self.size_bytes += len(data)

    def take(self, *, wait: bool = True) -> tuple[int, int, bytes] | None:
        """Make the raw bytes plain: their wire offset, the one behind them, and the plain bytes.

        None when nothing came, or when another thread is at it and `wait` is false.
        """
        if not self._work.acquire(blocking=wait):
            return None
        try:
            return self._take()
        finally:
            self._work.release()

    def _take(self) -> tuple[int, int, bytes] | None:
        with self._lock:
            pieces, self._raw = self._raw, []
            start, self.taken = self.taken, self.next
            after = self.taken
        if not pieces:
            return None
        raw = b"".join(pieces)
        plain = self._without_secrets(self._decoded(raw))
        with self._lock:
            if self.segments is not None:
                self.segments.append((after, plain))
                self.size_bytes += len(plain) - len(raw)
            else:
                self.size_bytes = sum(map(len, self._raw))
        return start, after, plain

    def drop(self) -> None:
        """Forget the bytes; later pieces are still passed on."""
        with self._lock:
            self._forget(self.next)

    def use_encoding(self, content_encoding: str) -> None:
        """What the header says, once it is known; until then the stream's first bytes decide."""
        with self._lock:
            if self.taken == 0:
                self._decoder = IncrementalDecoder(content_encoding)

    def _forget(self, offset: int) -> None:
        self.segments, self._raw, self.size_bytes, self.taken = None, [], 0, offset

    def _decoded(self, raw: bytes) -> bytes:
        if self._decoder is None:
            return b""
        try:
            return self._decoder.feed(raw)
        except ValueError:
            self._decoder = None
            return b""

    def _without_secrets(self, plain: bytes) -> bytes:
        tail, self._tail = self._tail, (self._tail + plain)[-_OVERLAP_BYTES:]
        body = self._redactor.body(tail + plain, "identity")
        return body.data[body.moved(len(tail)) :] if body.redacted else plain


class LiveBus:
    """A `flows.record.Sink` on the proxy's event loop."""

    def __init__(self, redactor: Redactor) -> None:
        global _current
        self._redactor = redactor
        self._streams: dict[str, _Stream] = {}
        self._moved: set[str] = set()
        self._rows: dict[str, tuple[str, FlowRecord]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self._total_bytes = 0
        self._closed = False
        _current = self

    @_quiet
    def started(self, record: FlowRecord) -> None:
        """The request is routed and about to leave."""
        self._row("started", record)

    @_quiet
    def delta(self, delta: FlowDelta) -> None:
        """A piece of the answer passed."""
        stream = self._stream(delta.flow_id)
        stream.add(delta.offset, delta.data)
        self._total_bytes += len(delta.data)
        if stream.size_bytes > MAX_STREAM_BYTES:
            stream.drop()
        if self._total_bytes > MAX_TOTAL_BYTES:
            self._make_room()
        self._moved.add(delta.flow_id)
        self._schedule()

    @_quiet
    def progress(self, record: FlowRecord) -> None:
        """A running stream's partial record."""
        self._row("progress", record)

    @_quiet
    def finished(self, record: FlowRecord) -> None:
        """The flow ended."""
        self._row("finished", record)

    def segments(self, flow_id: str) -> list[Segment] | None:
        """The plain bytes so far of a running answer, from its beginning; None when they are not at
        hand.

        May be called from any thread.
        """
        stream = self._streams.get(flow_id)
        if stream is None:
            return None
        stream.take()
        return None if stream.segments is None else list(stream.segments)

    async def close(self) -> None:
        """Send what is pending and stop."""
        global _current
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._sending is not None:
            await asyncio.gather(self._sending, return_exceptions=True)
        await self._send_pending()
        self._streams.clear()
        if _current is self:
            _current = None

    def _row(self, phase: str, record: FlowRecord) -> None:
        encoding = _answer_encoding(record)
        if encoding and phase != "finished":
            self._stream(record.id).use_encoding(encoding)
        if len(self._rows) < MAX_ROWS_PER_FLUSH or record.id in self._rows:
            self._rows[record.id] = (phase, record)
        elif phase == "finished":
            self._streams.pop(record.id, None)
        self._schedule()

    def _stream(self, flow_id: str) -> _Stream:
        stream = self._streams.get(flow_id)
        if stream is None:
            if len(self._streams) >= MAX_STREAMS:
                self._streams.pop(next(iter(self._streams)))
            stream = self._streams[flow_id] = _Stream(self._redactor)
        return stream

    def _schedule(self) -> None:
        if self._timer is None and not self._closed:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        self._timer = None
        if self._sending is not None and not self._sending.done():
            # the layer is slow: what comes meanwhile is merged into the next flush
            self._schedule()
            return
        self._sending = asyncio.get_running_loop().create_task(self._send_pending())

    async def _send_pending(self) -> None:
        layer = get_channel_layer()
        rows, self._rows = self._rows, {}
        moved, self._moved = self._moved, set()
        try:
            watched = await listened_to(
                layer, {LIST_GROUP, *map(flow_group, moved), *map(flow_group, rows)}
            )
            for flow_id in moved:
                if flow_group(flow_id) in watched:
                    await self._send_delta(layer, flow_id)
            for phase, record in rows.values():
                await self._send_row(layer, watched, phase, record)
        except Exception:
            logger.debug("Live view: the channel layer failed, updates were lost", exc_info=True)

    async def _send_row(
        self, layer: Any, watched: set[str], phase: str, record: FlowRecord
    ) -> None:
        group = flow_group(record.id)
        if phase == "finished":
            self._streams.pop(record.id, None)
        types = {LIST_GROUP: "flows.row", group: "flow.state"}
        if listening := types.keys() & watched:
            row = _row_fields(record, self._redactor)
            for name in listening:
                await layer.group_send(name, {"type": types[name], "phase": phase, "row": row})

    async def _send_delta(self, layer: Any, flow_id: str) -> None:
        stream = self._streams.get(flow_id)
        taken = stream.take(wait=False) if stream is not None else None
        if taken is not None:
            offset, after, data = taken
            message = {"type": "flow.delta", "offset": offset, "next": after, "data": data}
            await layer.group_send(flow_group(flow_id), message)

    def _make_room(self) -> None:
        """Forget the longest answers until half of the room is free, and count anew."""
        longest = sorted(self._streams.values(), key=lambda stream: -stream.size_bytes)
        self._total_bytes = sum(stream.size_bytes for stream in longest)
        for stream in longest:
            if self._total_bytes <= MAX_TOTAL_BYTES // 2:
                break
            self._total_bytes -= stream.size_bytes
            stream.drop()


def _answer_encoding(record: FlowRecord) -> str:
    for side in record.sides:
        if side.side in ("upstream", "delivered"):
            for name, value in side.headers:
                if name.lower() == "content-encoding":
                    return value
    return ""


def _row_fields(record: FlowRecord, redactor: Redactor) -> dict[str, Any]:
    return {
        "id": record.id,
        "state": record.state,
        "method": record.method,
        "host": record.host,
        "path": redactor.url(record.path),
        "provider": record.provider,
        "rule": record.rule,
        "requested_model": record.requested_model,
        "sent_model": record.sent_model,
        "session_id": record.session_id,
        "status_code": record.status_code,
        "is_stream": record.is_stream,
        "error": redactor.text(record.error),
        "duration_ms": record.duration_ms,
        "event_count": record.event_count,
    }
