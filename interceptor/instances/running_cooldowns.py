"""Cooldowns of the running interceptors, as their heartbeats tell them. No Django."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from interceptor.instances.notices import Heartbeat


class RunningCooldown(NamedTuple):
    """Candidate that chains of fallbacks skip; the model "" stands for all of the provider's."""

    provider: str
    model: str
    left_s: float
    cause: str
    """A status, `connect` or `timeout`."""
    instances: int = 1
    """Number of processes that skip it."""

    @property
    def sentence(self) -> str:
        """The pause as one sentence without a stop."""
        name = f"{self.provider}/{self.model}" if self.model else self.provider
        return f"{name} is skipped for {max(1, round(self.left_s))} s after {self.cause}"


def running_cooldowns(
    running: Iterable[Heartbeat], now_s: float | None = None
) -> list[RunningCooldown]:
    """Return the cooldowns of all processes by name, each with its longest rest.

    Rows are {"provider", "model", "until", "cause"}; `until` is Unix time.
    """
    now_s = time.time() if now_s is None else now_s
    found: dict[tuple[str, str], RunningCooldown] = {}
    for status in running:
        for row in status.cooldowns:
            key, left_s = (row["provider"], row["model"]), row["until"] - now_s
            if left_s <= 0:
                continue
            before = found.get(key)
            count = before.instances + 1 if before is not None else 1
            if before is not None and before.left_s >= left_s:
                found[key] = before._replace(instances=count)
            else:
                found[key] = RunningCooldown(*key, left_s, row["cause"], count)
    return [found[key] for key in sorted(found)]
