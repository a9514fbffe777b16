"""Parts of a running interceptor's state that people must know. No Django."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Protocol

FRESH_S: Final = 12.0
"""An interceptor whose heartbeat is older than this is taken for dead; at rest it beats every five
seconds.
"""


class Heartbeat(Protocol):
    """Columns of a heartbeat's row."""

    @property
    def instance(self) -> str: ...
    @property
    def heartbeat_at(self) -> datetime: ...
    @property
    def revision(self) -> int: ...
    @property
    def refused_revision(self) -> int | None: ...
    @property
    def refusal(self) -> str: ...
    @property
    def writer_error(self) -> str: ...
    @property
    def restart_needed(self) -> list[Any]: ...
    @property
    def cooldowns(self) -> list[dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence for every page of the console."""

    level: Literal["error", "warning"]
    text: str


def is_fresh_at(heartbeat: Heartbeat, now: datetime) -> bool:
    """Return True when the heartbeat is at most `FRESH_S` old."""
    return now - heartbeat.heartbeat_at <= timedelta(seconds=FRESH_S)


def notices(running: Sequence[Heartbeat]) -> list[Notice]:
    """Return the faults of the running interceptors, most important first."""
    if not running:
        return [Notice("warning", "No interceptor is running. Start one: ccproxy start")]
    found: list[Notice] = []
    for status in running:
        # One interceptor alone needs no name.
        prefix = f"{status.instance}: " if len(running) > 1 else ""
        found += _notices_of(status, prefix)
    return sorted(found, key=lambda notice: notice.level)


def _notices_of(status: Heartbeat, prefix: str) -> list[Notice]:
    found: list[Notice] = []
    if status.refused_revision and status.refused_revision > status.revision:
        why = status.refusal.rstrip(". ") or "no reason given"
        text = f"Revision {status.refused_revision} was refused: {why}. Running {status.revision}."
        found.append(Notice("error", prefix + text))
    if status.writer_error:
        found.append(Notice("error", f"{prefix}Flows are not being stored: {status.writer_error}"))
    if status.restart_needed:
        changed = ", ".join(map(str, status.restart_needed))
        found.append(
            Notice("warning", f"{prefix}Changed, but needs a restart to take effect: {changed}")
        )
    return found
