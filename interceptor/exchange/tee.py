"""The tee on a streamed answer: bytes go on to the client at once and are kept for the record."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flows.record import FlowDelta

if TYPE_CHECKING:
    from mitmproxy.http import Response

    from interceptor.pipeline.stream_stages import StreamStages

MAX_KEPT_BYTES = 64 * 1024 * 1024
"""More of an answer than this passes, but is not kept."""

MAX_CHUNK_TIMES = 50_000


class Tape:
    """Pieces of a body with the times they passed, up to a limit."""

    __slots__ = ("_chunks", "_limit_bytes", "kept_bytes", "size_bytes", "times")

    def __init__(self, limit_bytes: int = MAX_KEPT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._chunks: list[bytes] = []
        self.times: list[tuple[int, float]] = []
        self.size_bytes = 0
        self.kept_bytes = 0

    def add(self, data: bytes, at_ms: float) -> None:
        """Keep a piece that passed `at_ms` after the flow began."""
        if self.kept_bytes == self.size_bytes and len(self.times) < MAX_CHUNK_TIMES:
            self.times.append((self.size_bytes, round(at_ms, 2)))
        if self.kept_bytes + len(data) <= self._limit_bytes:
            self._chunks.append(data)
            self.kept_bytes += len(data)
        self.size_bytes += len(data)

    @property
    def truncated(self) -> bool:
        """True when more passed than was kept."""
        return self.kept_bytes < self.size_bytes

    @property
    def first_ms(self) -> float | None:
        """When the first piece passed."""
        return self.times[0][1] if self.times else None

    def copy(self) -> Tape:
        """Another tape with the same beginning."""
        twin = Tape(self._limit_bytes)
        twin._chunks, twin.times = [self.body()], list(self.times)
        twin.size_bytes, twin.kept_bytes = self.size_bytes, self.kept_bytes
        return twin

    def body(self) -> bytes:
        """What was kept so far."""
        if len(self._chunks) > 1:
            self._chunks[:] = [b"".join(self._chunks)]
        return self._chunks[0] if self._chunks else b""


class StreamTee:
    """Called by mitmproxy with every piece of the body, and once with b"" at its end.

    Args:
        flow_id: of the flow.
        clock_ms: milliseconds since the flow began.
        on_delta: gets what passes to the client.
        stages: turn the provider's bytes into the client's; None forwards them as they are.
        tape: keeps the provider's bytes; None: one of the usual length.
    """

    __slots__ = (
        "_clock_ms",
        "_flow_id",
        "_on_delta",
        "_stages",
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
    ) -> None:
        self._flow_id = flow_id
        self._clock_ms = clock_ms
        self._on_delta = on_delta
        self._stages = stages
        self.last_ms = 0.0
        """When the provider's newest piece came."""
        self.upstream = tape or Tape()
        self.delivered = Tape() if stages else self.upstream
        """The same tape when no stage changes the bytes."""

    def __call__(self, data: bytes) -> bytes | tuple[()]:
        at_ms = self._clock_ms()
        if data:
            self.last_ms = at_ms
            self.upstream.add(data, at_ms)
        if self._stages is not None:
            data = self._stages.feed(data) if data else self._stages.flush()
            if data:
                self.delivered.add(data, at_ms)
        if data:
            self._on_delta(
                FlowDelta(self._flow_id, self.delivered.size_bytes - len(data), data, at_ms)
            )
        return data or ()  # an empty chunk would end the client's chunked body

    def end_with(self, data: bytes) -> None:
        """Note what the client gets after the provider's stream broke."""
        if self.delivered is self.upstream:
            self.delivered = self.upstream.copy()
        at_ms = self._clock_ms()
        self.delivered.add(data, at_ms)
        self._on_delta(FlowDelta(self._flow_id, self.delivered.size_bytes - len(data), data, at_ms))


def is_event_stream(response: Response) -> bool:
    """True for text/event-stream."""
    return str(response.headers.get("content-type", "")).lower().startswith("text/event-stream")
