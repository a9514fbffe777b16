"""The tee on a streamed answer: bytes go on to the client at once and are kept for the record."""

from __future__ import annotations

from collections.abc import Callable

from flows.record import FlowDelta

MAX_KEPT_BYTES = 64 * 1024 * 1024
"""More of an answer than this passes, but is not kept."""

MAX_CHUNK_TIMES = 50_000


class StreamTee:
    """Called by mitmproxy with every piece of the body, and once with b"" at its end.

    `on_delta` gets what passed; `clock_ms` gives milliseconds since the flow began.
    """

    __slots__ = ("_clock_ms", "_flow_id", "_on_delta", "chunks", "kept_bytes", "size_bytes", "times")

    def __init__(self, flow_id: str, clock_ms: Callable[[], float], on_delta: Callable[[FlowDelta], None]) -> None:
        self._flow_id = flow_id
        self._clock_ms = clock_ms
        self._on_delta = on_delta
        self.chunks: list[bytes] = []
        self.times: list[tuple[int, float]] = []
        self.size_bytes = 0
        self.kept_bytes = 0

    def __call__(self, data: bytes) -> bytes:
        if data:
            at_ms = self._clock_ms()
            if self.size_bytes <= MAX_KEPT_BYTES and len(self.times) < MAX_CHUNK_TIMES:
                self.times.append((self.size_bytes, round(at_ms, 2)))
            if self.kept_bytes + len(data) <= MAX_KEPT_BYTES:
                self.chunks.append(data)
                self.kept_bytes += len(data)
            self._on_delta(FlowDelta(self._flow_id, self.size_bytes, data, at_ms))
            self.size_bytes += len(data)
        return data

    @property
    def truncated(self) -> bool:
        """True when more passed than was kept."""
        return self.kept_bytes < self.size_bytes

    @property
    def first_ms(self) -> float | None:
        """When the first piece passed."""
        return self.times[0][1] if self.times else None

    def body(self) -> bytes:
        """What was kept so far."""
        if len(self.chunks) > 1:
            self.chunks[:] = [b"".join(self.chunks)]
        return self.chunks[0] if self.chunks else b""
