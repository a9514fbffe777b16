"""Running interceptors, and the parts of their state that people must know."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.utils import timezone

from interceptor.models import InterceptorStatus
from providers.models import ConfigRevision

FRESH_S = 12.0
"""An interceptor whose heartbeat is older than this is taken for dead; at rest it beats every five
seconds.
"""


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence for every page of the console."""

    level: Literal["error", "warning"]
    text: str


def is_fresh(status: InterceptorStatus, now: datetime | None = None) -> bool:
    """Return True when the interceptor's heartbeat is at most `FRESH_S` old."""
    return (now or timezone.now()) - status.heartbeat_at <= timedelta(seconds=FRESH_S)


def running_interceptors() -> list[InterceptorStatus]:
    """Return the interceptors that are alive, oldest first."""
    since = timezone.now() - timedelta(seconds=FRESH_S)
    return list(InterceptorStatus.objects.filter(heartbeat_at__gte=since).order_by("started_at"))


def newest_revision() -> int:
    """Return the number of the newest configuration, without writing."""
    return ConfigRevision.objects.filter(pk=1).values_list("number", flat=True).first() or 1


def notices(running: list[InterceptorStatus]) -> list[Notice]:
    """Return the faults of the running interceptors, most important first."""
    if not running:
        return [Notice("warning", "No interceptor is running. Start one: ccproxy start")]
    found: list[Notice] = []
    for status in running:
        # One interceptor alone needs no name.
        prefix = f"{status.instance}: " if len(running) > 1 else ""
        found += _notices_of(status, prefix)
    return sorted(found, key=lambda notice: notice.level)


def _notices_of(status: InterceptorStatus, prefix: str) -> list[Notice]:
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


def live_sentence(running: list[InterceptorStatus], newest: int) -> str:
    """Return one sentence that says if the newest configuration runs."""
    if not running:
        return f"Revision {newest} is saved; nothing is running."
    oldest = min(status.revision for status in running)
    if oldest >= newest:
        return f"Revision {newest} is saved and live."
    return f"Revision {newest} is saved; running {oldest}."
