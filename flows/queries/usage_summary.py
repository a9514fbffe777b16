"""The usage page's figures, out of the daily roll-up: days, models, sessions.

Never a scan over flows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal

from django.db.models import F, Max, QuerySet, Sum

from flows.display.units import count, usd
from flows.models import UsageDaily
from flows.queries.sessions import cache_share

Measure = Literal["cost", "tokens", "requests"]
MEASURES: Final[tuple[Measure, ...]] = ("cost", "tokens", "requests")
PERIODS: Final = (7, 30, 90, 365)
DEFAULT_DAYS: Final = 30
CHART_WIDTH: Final = 1000.0
CHART_HEIGHT: Final = 200.0
COLOURS: Final = 6
"""Models with a colour of their own; the others share the last one."""
MAX_ROWS: Final = 200
TOP_SESSIONS: Final = 20
_SUMS: Final = (
    "requests", "failed", "unmetered", "unpriced", "input_tokens", "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens", "reasoning_tokens", "cacheable_tokens", "cost_usd",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Block:
    """One model's part of a day's column. `tone` is its colour's number."""

    tone: int
    title: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class UsageSummary:
    """What the page shows for the last `days` days (UTC).

    Rows and totals are dictionaries of sums.
    """

    days: int
    measure: Measure
    first: date
    last: date
    totals: dict[str, Any]
    models: list[dict[str, Any]]
    sessions: list[dict[str, Any]]
    by_day: list[dict[str, Any]]
    blocks: list[Block] = field(default_factory=list)
    highest: str = ""


def usage_summary(days: int, measure: Measure, today: date | None = None) -> UsageSummary:
    """The figures of a period. Three queries."""
    last = today or datetime.now(UTC).date()
    first = last - timedelta(days=days - 1)
    rows = UsageDaily.objects.filter(day__gte=first, day__lte=last)
    models = [_with_share(row) for row in _summed(rows, "provider", "model")[:MAX_ROWS]]
    daily = list(_summed(rows, "day", "model").order_by("day"))
    sessions = [
        _with_share(row)
        for row in _summed(rows.exclude(session_id=""), "session_id", last=True)[:TOP_SESSIONS]
    ]
    totals = _with_share(_total(models))
    blocks, highest = _blocks(daily, models, measure, first, days)
    by_day: dict[date, dict[str, Any]] = {}
    for row in daily:
        known = by_day.setdefault(
            row["day"], {"day": row["day"], "next": row["day"] + timedelta(days=1)}
        )
        for name in _SUMS:
            known[name] = _plus(known.get(name), row[name])
    listed = [_with_share(row) for row in reversed(by_day.values())]
    return UsageSummary(
        days, measure, first, last, totals, models, sessions, listed, blocks, highest
    )


def _summed(rows: QuerySet[UsageDaily], *keys: str, last: bool = False) -> Any:
    extra = {"last_day": Max("day")} if last else {}
    sums = {name: Sum(name) for name in _SUMS}
    return (
        rows.order_by()
        .values(*keys)
        .annotate(**sums, **extra)
        .order_by(
            F("cost_usd").desc(nulls_last=True), F("input_tokens").desc(nulls_last=True), *keys
        )
    )


def _total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {"requests": 0}
    for row in rows:
        for name in _SUMS:
            total[name] = _plus(total.get(name), row[name])
    return {name: total.get(name) for name in _SUMS}


def _plus(one: Any, other: Any) -> Any:
    """The sum of what is known; None when nothing is."""
    return other if one is None else one if other is None else one + other


def _with_share(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "cache_share": cache_share(row["cache_read_tokens"], row["cacheable_tokens"])}


def _blocks(
    daily: list[dict[str, Any]],
    models: list[dict[str, Any]],
    measure: Measure,
    first: date,
    days: int,
) -> tuple[list[Block], str]:
    tones = tones_of(models)
    totals: dict[date, float] = {}
    for row in daily:
        totals[row["day"]] = totals.get(row["day"], 0.0) + _value(row, measure)
    highest = max(totals.values(), default=0.0)
    step = CHART_WIDTH / days
    tops: dict[date, float] = {}
    blocks = []
    for row in sorted(daily, key=lambda one: tones.get(one["model"], COLOURS - 1)):
        height = _value(row, measure) / highest * CHART_HEIGHT if highest else 0.0
        if height:
            tops[row["day"]] = tops.get(row["day"], CHART_HEIGHT) - height
            title = (
                f"{row['day']} · {row['model'] or 'unknown model'} ·"
                f" {_label(_value(row, measure), measure)}"
            )
            x = (row["day"] - first).days * step
            tone = tones.get(row["model"], COLOURS - 1)
            blocks.append(Block(tone, title, x, tops[row["day"]], step * 0.84, height))
    return blocks, _label(highest, measure)


def tones_of(models: list[dict[str, Any]]) -> dict[str, int]:
    """The colour of each model, the most used ones first; marks the rows with it."""
    tones: dict[str, int] = {}
    for row in models:
        tones.setdefault(row["model"], min(len(tones), COLOURS - 1))
        row["tone"] = tones[row["model"]]
    return tones


def _value(row: dict[str, Any], measure: Measure) -> float:
    if measure == "cost":
        return float(row["cost_usd"] or 0)
    return float(
        (row["input_tokens"] or 0) + (row["output_tokens"] or 0)
        if measure == "tokens"
        else row["requests"]
    )


def _label(value: float, measure: Measure) -> str:
    return usd(value) if measure == "cost" else count(round(value))
