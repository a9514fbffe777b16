"""Figures of the dashboard: today, the last 24 hours, what runs now.

Every query reads an index, a bounded number of rows, or the daily sums.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, F, Max, Q, QuerySet, Sum, TextField
from django.db.models.functions import Cast, Substr

from flows.display.units import count, usd
from flows.figures.latencies import Latency, latencies
from flows.figures.plots import Columns, Value, stacked
from flows.models import FAILED, Flow, UsageDaily
from flows.queries.sessions import cache_share

HOURS: Final = 24
ACTIVE_MINUTES: Final = 15
MAX_SESSIONS: Final = 8
_HOUR_CHARS: Final = len("2026-11-29 18")


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of the last day."""

    begins: datetime
    requests: int
    failed: int
    cost_usd: float


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Figures of the dashboard. Unknown sums are None."""

    today: dict[str, Any]
    today_share: float | None
    hours: list[Hour]
    requests: Columns
    costs: Columns
    latencies: list[Latency]
    running: int
    sessions: list[dict[str, Any]]

    @property
    def requests_in_day(self) -> int:
        return sum(hour.requests for hour in self.hours)

    @property
    def failed_in_day(self) -> int:
        return sum(hour.failed for hour in self.hours)

    @property
    def cost_in_day(self) -> float:
        return sum(hour.cost_usd for hour in self.hours)


def dashboard(now: datetime) -> Dashboard:
    """Return the figures of the moment. Six queries."""
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    today = _today(now)
    hours = _hours(first)
    return Dashboard(
        today=today,
        today_share=cache_share(today["cache_read"], today["cacheable"]),
        hours=hours,
        requests=stacked([_request_values(hour) for hour in hours]),
        costs=stacked([_cost_values(hour) for hour in hours]),
        latencies=latencies(first),
        running=_running(),
        sessions=_active_sessions(now),
    )


def _running() -> int:
    """Count the requests that run, however long ago they began: a websocket may last for days."""
    # Only ended flows are linked, so the small index of those that wait has all that run.
    return Flow.objects.filter(indexed__isnull=True, state=Flow.State.LIVE).count()


def _today(now: datetime) -> dict[str, Any]:
    return UsageDaily.objects.filter(day=now.date()).aggregate(
        requests=Sum("requests", default=0),
        failed=Sum("failed", default=0),
        unpriced=Sum("unpriced", default=0),
        cost=Sum("cost_usd"),
        input=Sum("input_tokens"),
        output=Sum("output_tokens"),
        cache_read=Sum("cache_read_tokens"),
        cacheable=Sum("cacheable_tokens"),
    )


def _hours(first: datetime) -> list[Hour]:
    """Count requests, failures and cost by hour; hours without requests are there too."""
    day = Flow.objects.filter(started_at__gte=first).order_by()
    sums = {row["hour"]: row for row in _by_hour(day, requests=Count("pk"), cost=Sum("cost_usd"))}
    failures = _failures(day.filter(FAILED))
    hours = []
    for index in range(HOURS):
        begins = first + timedelta(hours=index)
        key = f"{begins:%Y-%m-%d %H}"
        row = sums.get(key, {"requests": 0, "cost": None})
        cost = float(row["cost"] or 0)
        hours.append(Hour(begins, row["requests"], failures.get(key, 0), cost))
    return hours


def _by_hour(flows: QuerySet[Flow], **sums: Count | Sum) -> Iterable[dict[str, Any]]:
    # As text, a moment in UTC begins with its hour on every database: "2026-11-29 18:07:01…".
    # TruncHour calls Python for each row of SQLite.
    hour = Substr(Cast("started_at", TextField()), 1, _HOUR_CHARS)
    found: Any = flows.annotate(hour=hour).values("hour").annotate(**sums)
    return list(found)


def _failures(flows: QuerySet[Flow]) -> dict[str, int]:
    return {row["hour"]: row["failed"] for row in _by_hour(flows, failed=Count("pk"))}


def _request_values(hour: Hour) -> Sequence[Value]:
    title = f"{hour.begins:%H}:00 UTC · {count(hour.requests)} requests, {hour.failed} failed"
    # A failure is a request too: the column's height is the number of requests.
    good = max(hour.requests - hour.failed, 0)
    return Value(hour.failed, "failed", title), Value(good, "tone0", title)


def _cost_values(hour: Hour) -> Sequence[Value]:
    title = f"{hour.begins:%H}:00 UTC · {usd(hour.cost_usd)}"
    return (Value(hour.cost_usd, "tone2", title),)


def _active_sessions(now: datetime) -> list[dict[str, Any]]:
    """Return sessions with a request in the last minutes, those with running requests first."""
    recent = Flow.objects.filter(started_at__gte=now - timedelta(minutes=ACTIVE_MINUTES))
    groups = recent.exclude(session_id="").order_by().values("session_id")
    summed = groups.annotate(
        requests=Count("pk"),
        running=Count("pk", filter=Q(state=Flow.State.LIVE)),
        newest=Max("started_at"),
        model=Max("sent_model"),
        cost=Sum("cost_usd"),
    )
    found: Any = summed.order_by(F("running").desc(), F("newest").desc())[:MAX_SESSIONS]
    return list(found)
