"""Tee of a streamed response: bytes are forwarded to the client at once and kept for the record."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flows.record import FlowDelta

if TYPE_CHECKING:
    from mitmproxy.http import Response

    from interceptor.pipeline.stream_stages import StreamStages

MAX_KEPT_BYTES = 64 * 1024 * 1024
"""A longer body is forwarded, but kept only up to here."""

MAX_CHUNK_TIMES = 50_000


class Tape:
    """Chunks of a body with the times at which they came, up to a limit.

    `times` are (offset in bytes, milliseconds since the flow began).
    """

    __slots__ = ("_chunks", "_limit_bytes", "kept_bytes", "size_bytes", "times")

    def __init__(self, limit_bytes: int = MAX_KEPT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._chunks: list[bytes] = []
        self.times: list[tuple[int, float]] = []
        self.size_bytes = 0
        self.kept_bytes = 0

    def add(self, data: bytes, at_ms: float) -> None:
        """Keep a chunk that came `at_ms` after the flow began."""
        # Once a chunk was left out, offsets would not belong to the kept bytes.
        if self.kept_bytes == self.size_bytes and len(self.times) < MAX_CHUNK_TIMES:
            self.times.append((self.size_bytes, round(at_ms, 2)))
        if self.kept_bytes + len(data) <= self._limit_bytes:
            self._chunks.append(data)
            self.kept_bytes += len(data)
        self.size_bytes += len(data)

    @property
    def truncated(self) -> bool:
        """True when more came than was kept."""
        return self.kept_bytes < self.size_bytes

    @property
    def first_ms(self) -> float | None:
        """When the first chunk came; None before."""
        return self.times[0][1] if self.times else None

    def copy(self) -> Tape:
        """Return another tape with the same content, to be continued differently."""
        copy = Tape(self._limit_bytes)
        copy._chunks = [self.body()]
        copy.times = list(self.times)
        copy.size_bytes = self.size_bytes
        copy.kept_bytes = self.kept_bytes
        return copy

    def body(self) -> bytes:
        """Return what was kept so far."""
        # Joined once: a page that follows the stream asks again and again.
        if len(self._chunks) > 1:
            self._chunks[:] = [b"".join(self._chunks)]
        return self._chunks[0] if self._chunks else b""


class StreamTee:
    """Tee that mitmproxy calls with every chunk of the body, and with b"" at its end.

    Args:
        flow_id: of the flow.
        clock_ms: milliseconds since the flow began.
        on_delta: gets what is forwarded to the client.
        stages: turn the provider's bytes into the client's; None forwards them as they are.
        tape: keeps the provider's bytes; None: one of the usual length.
        unframe: takes the text out of binary frames, before the tape and the stages.

    A client that was given a length knows its response is complete with the last byte of it. So
    `complete_at` calls back before the chunk leaves that reaches this length.
    """

    __slots__ = (
        "_clock_ms",
        "_flow_id",
        "_length",
        "_on_complete",
        "_on_delta",
        "_stages",
        "_unframe",
        "delivered",
        "last_ms",
        "upstream",
    )

    def __init__(
        self,
        flow_id: str,
        clock_ms: Callable[[], float],
        on_delta: Callable[[FlowDelta], None],
        stages: StreamStages | None = None,
        tape: Tape | None = None,
        unframe: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._flow_id = flow_id
        self._clock_ms = clock_ms
        self._on_delta = on_delta
        self._stages = stages
        self._unframe = unframe
        self._length: int | None = None
        self._on_complete: Callable[[], None] | None = None
        self.last_ms = 0.0
        """When the provider's newest chunk came, in milliseconds since the flow began."""
        self.upstream = tape or Tape()
        self.delivered = Tape() if stages else self.upstream
        """The same tape when no stage changes the bytes."""

    def complete_at(self, length: int, on_complete: Callable[[], None]) -> None:
        """Call back once the client is about to get the last of `length` bytes."""
        self._length = length
        self._on_complete = on_complete

    def let_go(self) -> None:
        """Forget the bytes, and whom to call back.

        The flow's response holds this tee, and an open connection or a cycle may hold the flow.
        """
        self._on_complete = None
        self.upstream = self.delivered = Tape(limit_bytes=0)

    def __call__(self, data: bytes) -> bytes | tuple[()]:
        at_ms = self._clock_ms()
        has_ended = not data
        if data:
            self.last_ms = at_ms
            if self._unframe is not None:
                data = self._unframe(data)
        if data:
            self.upstream.add(data, at_ms)
        if self._stages is not None:
            if has_ended:
                data = self._stages.flush()
            elif data:
                data = self._stages.feed(data)
            if data:
                self.delivered.add(data, at_ms)
        if data:
            self._on_delta(
                FlowDelta(self._flow_id, self.delivered.size_bytes - len(data), data, at_ms)
            )
            if self.delivered.size_bytes == self._length and self._on_complete is not None:
                self._on_complete()
        # RFC 9112, 7.1: an empty chunk would end the client's chunked body.
        return data or ()

    def end_with(self, data: bytes) -> None:
        """Record what the client gets after the provider's stream broke."""
        # The provider never sent these bytes: its own tape must not have them.
        if self.delivered is self.upstream:
            self.delivered = self.upstream.copy()
        at_ms = self._clock_ms()
        self.delivered.add(data, at_ms)
        self._on_delta(FlowDelta(self._flow_id, self.delivered.size_bytes - len(data), data, at_ms))


def is_event_stream(response: Response) -> bool:
    """Return whether a response is a stream of server-sent events."""
    return str(response.headers.get("content-type", "")).lower().startswith("text/event-stream")
