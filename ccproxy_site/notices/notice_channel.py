"""Interface of what delivers notices."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ccproxy_site.notices.notice import Notice


class Outcome(NamedTuple):
    """Result of one delivery: half a sentence that names no secret."""

    is_delivered: bool
    text: str
    may_retry: bool = False
    retry_after_s: float = 0.0


class Channel(Protocol):
    """A way to a person or a program. `deliver` blocks for a bounded time and never raises."""

    name: str

    def deliver(self, sent: Notice) -> Outcome:
        """Deliver a notice, once."""
