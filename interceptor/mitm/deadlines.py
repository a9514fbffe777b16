"""Until when a client must have sent what it began. The HTTP layers set it, the timeouts addon
closes who is late.

One table for the process: mitmproxy makes its layers itself and offers no place to hand them
anything.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

HEAD_TIMEOUT_S = 30.0
"""From the first byte of a head, or from the connection, to the head's end."""
BODY_TIMEOUT_S = 60.0
"""Between two pieces of a request's body."""
LINGER_S = 2.0
"""After a refusal, for the client to read it before the connection goes."""


class Deadlines:
    """Client connection id to monotonic seconds."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}

    def set(self, connection_id: str, seconds: float) -> None:
        """Expect progress within `seconds` from now."""
        self._at[connection_id] = time.monotonic() + seconds

    def set_first(self, connection_id: str, seconds: float) -> None:
        """The same, unless a deadline runs already."""
        self._at.setdefault(connection_id, time.monotonic() + seconds)

    def clear(self, connection_id: str) -> None:
        """Nothing is expected of this client."""
        self._at.pop(connection_id, None)

    def overdue(self) -> Iterator[str]:
        """The clients that are late."""
        now = time.monotonic()
        yield from [connection_id for connection_id, at in self._at.items() if at <= now]


DEADLINES = Deadlines()
