"""Read deadlines per client connection. Set by the HTTP layers, enforced by TimeoutsAddon.

One table for the process: mitmproxy makes its layers itself and hands them nothing of ours.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

HEAD_TIMEOUT_S = 30.0
"""From the first byte of a request's head, or from the connection, to the head's end."""
BODY_TIMEOUT_S = 60.0
"""Between two pieces of a request's body."""
LINGER_S = 2.0
"""For the client to read a refusal before its connection is closed."""


class Deadlines:
    """Client connection id to monotonic seconds."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}

    def set(self, connection_id: str, seconds: float) -> None:
        """Expect progress within `seconds` from now."""
        self._at[connection_id] = time.monotonic() + seconds

    def set_first(self, connection_id: str, seconds: float) -> None:
        """Expect progress within `seconds` from now, unless a deadline runs already."""
        self._at.setdefault(connection_id, time.monotonic() + seconds)

    def clear(self, connection_id: str) -> None:
        """Expect nothing of this client."""
        self._at.pop(connection_id, None)

    def overdue(self) -> Iterator[str]:
        """Yield the connections whose deadline has passed."""
        now = time.monotonic()
        # A list first: the caller clears entries while it iterates.
        yield from [connection_id for connection_id, at in self._at.items() if at <= now]


DEADLINES = Deadlines()
