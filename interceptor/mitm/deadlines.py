"""Read deadlines per client connection. Set by the HTTP layers, enforced by TimeoutsAddon.

One table for the process: mitmproxy makes its layers itself and hands them nothing of ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator


class Deadlines:
    """Client connection id to monotonic seconds.

    Args:
        head_timeout_s: from a request's first byte, or from the connection, to the headers' end.
        body_timeout_s: between two chunks of a request's body.
        linger_s: for the client to read a refusal before its connection is closed.
    """

    def __init__(
        self, *, head_timeout_s: float = 30.0, body_timeout_s: float = 60.0, linger_s: float = 2.0
    ) -> None:
        self.head_timeout_s = head_timeout_s
        self.body_timeout_s = body_timeout_s
        self.linger_s = linger_s
        self.on_first: Callable[[], None] = lambda: None
        """Called when something is expected while nothing else was."""
        self._at: dict[str, float] = {}

    def expect_connection_head(self, connection_id: str) -> None:
        """Expect a request on a new connection."""
        self._set(connection_id, self.head_timeout_s)

    def expect_head(self, connection_id: str) -> None:
        """Expect the rest of a request's headers, by the deadline that runs already, if one does.

        Otherwise a client could send one byte each half minute for ever.
        """
        if connection_id not in self._at:
            self._set(connection_id, self.head_timeout_s)

    def expect_body(self, connection_id: str) -> None:
        """Expect the next chunk of a request's body."""
        self._set(connection_id, self.body_timeout_s)

    def linger(self, connection_id: str) -> None:
        """Let the client read a refusal."""
        self._set(connection_id, self.linger_s)

    def clear(self, connection_id: str) -> None:
        """Expect nothing of this client."""
        self._at.pop(connection_id, None)

    @property
    def is_empty(self) -> bool:
        """True while nothing is expected of any client."""
        return not self._at

    def overdue(self) -> Iterator[str]:
        """Yield the connections whose deadline has passed."""
        now = time.monotonic()
        # A list first: the caller clears entries while it iterates.
        yield from [connection_id for connection_id, at in self._at.items() if at <= now]

    def _set(self, connection_id: str, seconds: float) -> None:
        if not self._at:
            self.on_first()
        self._at[connection_id] = time.monotonic() + seconds


DEADLINES = Deadlines()
