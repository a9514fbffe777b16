"""Times for keep-alives, new keys and the end of old ones: WireGuard paper, section 6.

Times are seconds of one clock that never goes back. None means that nothing is due.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

REKEY_AFTER_S = 120.0
REJECT_AFTER_S = 180.0
REKEY_TIMEOUT_S = 5.0
REKEY_ATTEMPT_S = 90.0
KEEPALIVE_S = 10.0
FORGET_AFTER_S = 3 * REJECT_AFTER_S
REKEY_WHEN_RECEIVING_S = REJECT_AFTER_S - KEEPALIVE_S - REKEY_TIMEOUT_S
_JITTER_S = 0.333


@dataclass(slots=True)
class Timers:
    """Clocks of a tunnel. The caller that acts on one resets it."""

    keepalive_at: float | None = None
    silence_at: float | None = None
    retry_at: float | None = None
    forget_at: float | None = None
    give_up_at: float = 0.0

    def sent(self, now: float, *, data: bool) -> None:
        """Note a sent transport message. After data the peer must respond within 15 s."""
        self.keepalive_at = None
        if data and self.silence_at is None:
            self.silence_at = now + KEEPALIVE_S + REKEY_TIMEOUT_S

    def received(self, now: float, *, data: bool) -> None:
        """Note an authentic transport message.

        Data is confirmed by a keep-alive if nothing else is sent.
        """
        self.silence_at = None
        if data and self.keepalive_at is None:
            self.keepalive_at = now + KEEPALIVE_S

    def initiated(self, now: float, *, again: bool) -> None:
        """Note a handshake request: the first of a series of attempts, or a further one."""
        if not again:
            self.give_up_at = now + REKEY_ATTEMPT_S
        self.retry_at = now + REKEY_TIMEOUT_S + random.uniform(0, _JITTER_S)  # noqa: S311  # no secret: spreads retries
        self.silence_at = None

    def completed(self, now: float) -> None:
        """Note a complete handshake. Its keys are forgotten if they are not renewed."""
        self.retry_at = self.silence_at = None
        self.forget_at = now + FORGET_AFTER_S

    def next(self) -> float | None:
        """Return the earliest time at which something is due."""
        clocks = (self.keepalive_at, self.silence_at, self.retry_at, self.forget_at)
        return min((at for at in clocks if at is not None), default=None)
