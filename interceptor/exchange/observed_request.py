"""A request that passes unchanged: its body goes on at once, and a bounded copy is kept for the
record.
"""

from __future__ import annotations

from collections.abc import Callable

from interceptor.exchange.tee import Tape

MAX_OTHER_BYTES = 4 * 1024 * 1024
"""Kept of bodies that are no LLM's: downloads and uploads of whatever a command does besides."""


class Observed:
    """What is known of such a request.

    Args:
        host: where it goes, by name when it has one.
        is_llm: it is in a known wire format, and kept as a whole.
    """

    __slots__ = ("_clock_ms", "host", "is_llm", "session_id", "tape")

    def __init__(self, host: str, *, is_llm: bool) -> None:
        self.host = host
        self.is_llm = is_llm
        self.session_id = ""
        self.tape = self.new_tape()

    def new_tape(self) -> Tape:
        """A tape that keeps as much as is worth keeping."""
        return Tape() if self.is_llm else Tape(MAX_OTHER_BYTES)

    def begin(self, clock_ms: Callable[[], float]) -> None:
        """Take times from this clock."""
        self._clock_ms = clock_ms

    def pass_on(self, data: bytes) -> bytes:
        """Called by mitmproxy with every piece of the request's body, and once with b"" at
        its end.
        """
        if data:
            self.tape.add(data, self._clock_ms())
        return data
