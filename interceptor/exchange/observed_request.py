"""Request that is forwarded unchanged: chunk by chunk, with a bounded copy for the record."""

from __future__ import annotations

from collections.abc import Callable

from interceptor.exchange.tee import Tape

MAX_OTHER_BYTES = 4 * 1024 * 1024
"""Limit of what is kept of other traffic than a model's: a command's downloads and uploads."""


class Observed:
    """State of such a request.

    Args:
        host: its destination, by name when it has one.
        is_llm: it is in a known wire format, and kept completely.
    """

    __slots__ = ("_clock_ms", "host", "is_llm", "session_id", "tape")

    def __init__(self, host: str, *, is_llm: bool) -> None:
        self.host = host
        self.is_llm = is_llm
        self.session_id = ""
        self.tape = self.new_tape()

    def new_tape(self) -> Tape:
        """Return a tape with the limit of this kind of request."""
        return Tape() if self.is_llm else Tape(MAX_OTHER_BYTES)

    def begin(self, clock_ms: Callable[[], float]) -> None:
        """Take times from this clock."""
        self._clock_ms = clock_ms

    def pass_on(self, data: bytes) -> bytes:
        """Keep a chunk of the body and return it.

        mitmproxy calls this with every chunk, and with b"" at the end.
        """
        if data:
            self.tape.add(data, self._clock_ms())
        return data
