"""Pauses of providers that failed: chains of fallbacks skip them meanwhile. One set a process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

LONGEST_GROWN_S: Final = 300.0
"""Limit of a pause that no provider asked for."""
LONGEST_ASKED_S: Final = 86_400.0
MAX_TOLD: Final = 50
"""Pauses in the heartbeat, the newest."""
MAX_KEPT: Final = 1000
"""Pairs of provider and model; clients choose the models' names."""


class Target(NamedTuple):
    """A provider and a model; the model "" stands for all of its models."""

    provider: str
    model: str = ""


class Cooldown(NamedTuple):
    """A pause that runs. `left_s` is positive; `cause` is a status, `connect` or `timeout`."""

    left_s: float
    cause: str

    @property
    def sentence(self) -> str:
        """The rest of a sentence about the provider."""
        return f"cools down for {self.left_s:.3g} s after {self.cause}"


@dataclass(slots=True)
class _Pause:
    until_s: float
    grown_s: float
    """What the next pause without a hint doubles; 0: the last one had a hint."""
    cause: str


class Cooldowns:
    """The pauses.

    A status is about one model of the provider. A lost connection and silence are about all of
    them.

    Args:
        clock: a monotonic clock in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pauses: dict[Target, _Pause] = {}

    def begin(
        self, target: Target, cause: str, *, first_s: float, asked_s: float | None = None
    ) -> None:
        """Begin a pause: as long as the provider asked, else growing with each failure.

        `first_s` is the first pause that grows: 5, 10, 20, … up to 300 s. 0: no pause at all.
        """
        if first_s <= 0:
            return
        now_s = self._clock()
        before = self._pauses.get(target)
        is_running = before is not None and before.until_s > now_s
        grown_s = before.grown_s if before is not None else 0.0
        if asked_s is not None:
            pause_s = min(asked_s, LONGEST_ASKED_S)
        elif is_running and before is not None:
            # Requests that failed together are one failure.
            pause_s = before.until_s - now_s
        else:
            pause_s = grown_s = min(max(first_s, grown_s * 2), LONGEST_GROWN_S)
        until_s = now_s + pause_s
        if before is not None:
            until_s = max(until_s, before.until_s)
        # The newest stands last, so that the oldest is the one to drop.
        self._pauses.pop(target, None)
        self._pauses[target] = _Pause(until_s, grown_s, cause)
        while len(self._pauses) > MAX_KEPT:
            del self._pauses[next(iter(self._pauses))]

    def end(self, target: Target) -> None:
        """End the pauses of a provider and model that responded well."""
        if self._pauses:
            self._pauses.pop(target, None)
            self._pauses.pop(Target(target.provider), None)

    def of(self, target: Target) -> Cooldown | None:
        """Return the pause that makes a chain skip the target, the longer of two; None: none."""
        if not self._pauses:
            return None
        found = [self._running(target), self._running(Target(target.provider))]
        return max((each for each in found if each is not None), default=None)

    def clear(self) -> None:
        """End all pauses."""
        self._pauses.clear()

    def running(self) -> dict[Target, Cooldown]:
        """Return every pause that runs."""
        pauses = {target: self._running(target) for target in self._pauses}
        return {target: pause for target, pause in pauses.items() if pause is not None}

    def as_facts(self, now_s: float) -> list[dict[str, str | int]]:
        """Return what the heartbeat tells of the pauses; `now_s` is Unix time.

        Times are in whole seconds, so that they stay the same while a pause runs.
        """
        return [
            {
                "provider": target.provider,
                "model": target.model,
                "until": round(now_s + pause.left_s),
                "cause": pause.cause,
            }
            for target, pause in list(self.running().items())[-MAX_TOLD:]
        ]

    def _running(self, target: Target) -> Cooldown | None:
        pause = self._pauses.get(target)
        left_s = pause.until_s - self._clock() if pause is not None else 0.0
        return Cooldown(left_s, pause.cause) if pause is not None and left_s > 0 else None
