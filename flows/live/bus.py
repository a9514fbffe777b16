"""Live bus: tells pages which flows changed, and sends them the bytes of streams they watch.

Lossy by design and off the request's path: nothing here waits, raises or grows without bound. The
database has everything a moment later, and pages that missed something ask there.

Groups: `flows` gets `{"type": "flows.row", "phase", "row"}`. `flow.<hex id>` gets
`{"type": "flow.delta", "offset", "next", "data"}` and `{"type": "flow.state", "phase", "row"}`.
Offsets count bytes on the wire; `data` is decompressed and without secrets, so its length may
differ.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from threading import Lock
from typing import Any, Final

from channels.layers import get_channel_layer

from flows.bytes.incremental import IncrementalDecoder
from flows.live.audience import listened_to, may_be_heard
from flows.record import FlowDelta, FlowRecord
from flows.redaction.redactor import Redactor

logger = logging.getLogger(__name__)

LIST_GROUP: Final = "flows"
FLUSH_SECONDS: Final = 0.03
_OVERLAP_BYTES: Final = 512
"""Searched again with the next chunk: a secret may begin in one and end in the next."""

Segment = tuple[int, bytes]
"""(wire offset behind it, plain bytes)."""

_current: LiveBus | None = None


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """Bounds of the bus: bytes of one stream and of all, streams, rows sent at once."""

    stream_bytes: int = 1024 * 1024
    total_bytes: int = 64 * 1024 * 1024
    streams: int = 4096
    rows_per_flush: int = 100


def current_bus() -> LiveBus | None:
    """Return the bus of this process, if the proxy runs in it."""
    return _current


def flow_group(flow_id: str) -> str:
    """Return the Channels group of one flow; group names allow no other characters."""
    return "flow." + "".join(char for char in flow_id if char.isascii() and char.isalnum())


def _quiet[**P](method: Callable[P, None]) -> Callable[P, None]:
    """Keep exceptions inside: the proxy never fails because of a view."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(*args, **kwargs)
        except Exception:
            logger.debug("Live view: an update was lost", exc_info=True)

    return call


class _Stream:
    """Bytes of one running response: raw as they came, plain once a page asked for them."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._decoder: IncrementalDecoder | None = IncrementalDecoder()
        # Held for a moment only: the proxy's event loop waits for it.
        self._lock = Lock()
        # Held while bytes are made plain, by one thread at a time and in their order.
        self._work = Lock()
        self._raw: list[bytes] = []
        self._tail = b""
        # None once the stream is too long to keep.
        self.segments: list[Segment] | None = []
        # Wire offsets behind all bytes, and behind those that are plain.
        self.next = 0
        self.taken = 0
        self.size_bytes = 0

    def add(self, offset: int, data: bytes) -> None:
        """Append a chunk. After a gap nothing from the beginning can be shown any more."""
        with self._lock:
            if offset != self.next:
                self._forget(offset)
            self._raw.append(data)
            self.next = offset + len(data)
            self.size_bytes += len(data)

    def take(self, *, wait: bool = True) -> tuple[int, int, bytes] | None:
        """Make the raw bytes plain; return their wire offset, the one behind, and the plain bytes.

        None when nothing came, or when another thread is at work and `wait` is false.
        """
        if not self._work.acquire(blocking=wait):
            return None
        try:
            return self._take()
        finally:
            self._work.release()

    def _take(self) -> tuple[int, int, bytes] | None:
        with self._lock:
            chunks = self._raw
            self._raw = []
            start = self.taken
            after = self.next
            self.taken = after
        if not chunks:
            return None
        raw = b"".join(chunks)
        plain = self._redact(self._decode(raw))
        with self._lock:
            # A chunk that came meanwhile may have made the stream too long.
            if self.segments is None:
                self.size_bytes = sum(map(len, self._raw))
            else:
                self.segments.append((after, plain))
                self.size_bytes += len(plain) - len(raw)
        return start, after, plain

    def drop(self) -> None:
        """Forget the bytes; later chunks are still sent to pages."""
        with self._lock:
            self._forget(self.next)

    def use_encoding(self, content_encoding: str) -> None:
        """Decode as the header says; until it is known the stream's first bytes decide."""
        with self._lock:
            if self.taken == 0:
                self._decoder = IncrementalDecoder(content_encoding)

    def _forget(self, offset: int) -> None:
        self.segments = None
        self._raw = []
        self.size_bytes = 0
        self.taken = offset

    def _decode(self, raw: bytes) -> bytes:
        if self._decoder is None:
            return b""
        try:
            return self._decoder.feed(raw)
        except ValueError:
            # A broken stream has no readable text from here on.
            self._decoder = None
            return b""

    def _redact(self, plain: bytes) -> bytes:
        tail = self._tail
        joined = tail + plain
        self._tail = joined[-_OVERLAP_BYTES:]
        body = self._redactor.body(joined, "identity")
        if not body.redacted:
            return plain
        return body.data[body.moved(len(tail)) :]


class LiveBus:
    """Sink on the proxy's event loop that feeds the pages."""

    def __init__(self, redactor: Redactor, limits: LiveLimits | None = None) -> None:
        global _current
        self._redactor = redactor
        self._limits = limits or LiveLimits()
        self._streams: dict[str, _Stream] = {}
        self._changed: set[str] = set()
        self._rows: dict[str, tuple[str, FlowRecord]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self._total_bytes = 0
        self._closed = False
        _current = self

    @_quiet
    def started(self, record: FlowRecord) -> None:
        """Show a request that is routed and about to leave."""
        self._row("started", record)

    @_quiet
    def delta(self, delta: FlowDelta) -> None:
        """Keep a chunk of the response, and send it to the pages with the next flush."""
        stream = self._stream(delta.flow_id)
        stream.add(delta.offset, delta.data)
        self._total_bytes += len(delta.data)
        if stream.size_bytes > self._limits.stream_bytes:
            stream.drop()
        if self._total_bytes > self._limits.total_bytes:
            self._make_room()
        self._changed.add(delta.flow_id)
        self._schedule()

    @_quiet
    def progress(self, record: FlowRecord) -> None:
        """Show the state of a running stream."""
        self._row("progress", record)

    @_quiet
    def finished(self, record: FlowRecord) -> None:
        """Show the last state of a flow."""
        self._row("finished", record)

    def holds(self, flow_id: str) -> bool:
        """Tell if bytes of this running response are kept."""
        return flow_id in self._streams

    def segments(self, flow_id: str) -> list[Segment] | None:
        """Return the plain bytes of a running response from its beginning; None when not kept.

        May be called from any thread.
        """
        stream = self._streams.get(flow_id)
        if stream is None:
            return None
        stream.take()
        return None if stream.segments is None else list(stream.segments)

    async def close(self) -> None:
        """Send what is pending and stop."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._sending is not None:
            await asyncio.gather(self._sending, return_exceptions=True)
        await self.send_pending()
        self._streams.clear()
        self.detach()

    def detach(self) -> None:
        """Stop being the bus of this process."""
        global _current
        if _current is self:
            _current = None

    async def send_pending(self) -> None:
        """Send the changes since the last flush to the groups that have listeners."""
        layer = get_channel_layer()
        rows = self._rows
        self._rows = {}
        changed = self._changed
        self._changed = set()
        groups = {LIST_GROUP, *map(flow_group, changed), *map(flow_group, rows)}
        try:
            watched = await listened_to(layer, groups)
            for flow_id in changed:
                if flow_group(flow_id) in watched:
                    await self._send_delta(layer, flow_id)
            for phase, record in rows.values():
                await self._send_row(layer, watched, phase, record)
        except Exception:
            logger.debug("Live view: the channel layer failed, updates were lost", exc_info=True)

    def _row(self, phase: str, record: FlowRecord) -> None:
        encoding = _response_encoding(record)
        if encoding and phase != "finished":
            self._stream(record.id).use_encoding(encoding)
        if not may_be_heard(get_channel_layer()):
            # Without a page nothing is sent, and no timer wakes this process up for it.
            if phase == "finished":
                self._streams.pop(record.id, None)
            return
        if len(self._rows) < self._limits.rows_per_flush or record.id in self._rows:
            self._rows[record.id] = (phase, record)
        elif phase == "finished":
            self._streams.pop(record.id, None)
        self._schedule()

    def _stream(self, flow_id: str) -> _Stream:
        stream = self._streams.get(flow_id)
        if stream is None:
            if len(self._streams) >= self._limits.streams:
                oldest = next(iter(self._streams))
                del self._streams[oldest]
            stream = _Stream(self._redactor)
            self._streams[flow_id] = stream
        return stream

    def _schedule(self) -> None:
        if self._timer is None and not self._closed:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        self._timer = None
        if self._sending is not None and not self._sending.done():
            # The layer is slow: what comes meanwhile is merged into the next flush.
            self._schedule()
            return
        self._sending = asyncio.get_running_loop().create_task(self.send_pending())

    async def _send_row(
        self, layer: Any, watched: set[str], phase: str, record: FlowRecord
    ) -> None:
        if phase == "finished":
            self._streams.pop(record.id, None)
        types = {LIST_GROUP: "flows.row", flow_group(record.id): "flow.state"}
        listening = types.keys() & watched
        if not listening:
            return
        row = _row_fields(record, self._redactor)
        for group in listening:
            await layer.group_send(group, {"type": types[group], "phase": phase, "row": row})

    async def _send_delta(self, layer: Any, flow_id: str) -> None:
        stream = self._streams.get(flow_id)
        if stream is None:
            return
        # Without waiting: a thread at work makes these bytes part of its own segment.
        taken = stream.take(wait=False)
        if taken is None:
            return
        offset, after, data = taken
        message = {"type": "flow.delta", "offset": offset, "next": after, "data": data}
        await layer.group_send(flow_group(flow_id), message)

    def _make_room(self) -> None:
        """Forget the longest responses until half of the room is free, and count anew."""
        longest = sorted(self._streams.values(), key=lambda stream: -stream.size_bytes)
        self._total_bytes = sum(stream.size_bytes for stream in longest)
        for stream in longest:
            if self._total_bytes <= self._limits.total_bytes // 2:
                break
            self._total_bytes -= stream.size_bytes
            stream.drop()


def _response_encoding(record: FlowRecord) -> str:
    for side in record.sides:
        if side.side not in ("upstream", "delivered"):
            continue
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
