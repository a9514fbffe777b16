"""Figures of the usage page, from the daily roll-up: days, models, sessions.

They never scan the flows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from operator import itemgetter
from typing import Any, Final, Literal, NamedTuple

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
"""Colours of models; those beyond are one block of a column, the others."""
MAX_ROWS: Final = 200
TOP_SESSIONS: Final = 20
_COLUMN_SHARE: Final = 0.84
_KEYS: Final = frozenset({"id", "day", "provider", "model", "session_id"})
_SUMS: Final = tuple(
    column.name for column in UsageDaily._meta.concrete_fields if column.name not in _KEYS
)
"""All other columns of the roll-up are sums, so a new one needs no change here."""


@dataclass(frozen=True, slots=True)
class Block:
    """One model's part of a day's column. `tone` is the index of its colour."""

    tone: int
    title: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class UsageSummary:
    """The last `days` days (UTC). Rows and totals are dictionaries of sums."""

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


class _Chart(NamedTuple):
    """The blocks, and the label of the chart's height."""

    blocks: list[Block]
    highest: str


class Period(NamedTuple):
    """The first and the last day, both included."""

    first: date
    last: date


def period(days: int, today: date | None = None) -> Period:
    """Return so many days that end today (UTC)."""
    last = today or datetime.now(UTC).date()
    return Period(last - timedelta(days=days - 1), last)


def usage_summary(days: int, measure: Measure, today: date | None = None) -> UsageSummary:
    """Return the figures of a period that ends today. Three queries."""
    first, last = period(days, today)
    rows = UsageDaily.objects.filter(day__gte=first, day__lte=last)

    by_model = _summed(rows, "provider", "model")[:MAX_ROWS]
    models = [_with_share(row) for row in by_model]
    by_day_and_model = list(_summed(rows, "day", "model").order_by("day"))
    with_session = rows.exclude(session_id="")
    by_session = _summed(with_session, "session_id", last_day=Max("day"))[:TOP_SESSIONS]
    chart = _chart(by_day_and_model, models, measure, first, days)
    return UsageSummary(
        days=days,
        measure=measure,
        first=first,
        last=last,
        totals=_with_share(_total(models)),
        models=models,
        sessions=[_with_share(row) for row in by_session],
        by_day=_by_day(by_day_and_model),
        blocks=chart.blocks,
        highest=chart.highest,
    )


def _summed(rows: QuerySet[UsageDaily], *keys: str, **extra: Max) -> Any:
    sums = {name: Sum(name) for name in _SUMS}
    # Without order_by() the model's own ordering would become a key of the groups.
    groups = rows.order_by().values(*keys).annotate(**sums, **extra)
    by_cost = F("cost_usd").desc(nulls_last=True)
    by_tokens = F("input_tokens").desc(nulls_last=True)
    return groups.order_by(by_cost, by_tokens, *keys)


def _by_day(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add up the models of each day, newest day first; `next` is the day after."""
    days: dict[date, dict[str, Any]] = {}
    for row in rows:
        day = row["day"]
        if day not in days:
            next_day = day + timedelta(days=1)
            days[day] = {"day": day, "next": next_day}
        _add(days[day], row)
    newest_first = reversed(days.values())
    return [_with_share(total) for total in newest_first]


def _total(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = dict.fromkeys(_SUMS)
    total["requests"] = 0
    for row in rows:
        _add(total, row)
    return total


def _add(total: dict[str, Any], row: dict[str, Any]) -> None:
    for name in _SUMS:
        so_far = total.get(name)
        total[name] = _plus(so_far, row[name])


def _plus(one: Any, other: Any) -> Any:
    """Add what is known: 1 + 2 → 3, 1 + None → 1, None + None → None."""
    if one is None:
        return other
    if other is None:
        return one
    return one + other


def _with_share(row: dict[str, Any]) -> dict[str, Any]:
    read = row["cache_read_tokens"]
    cacheable = row["cacheable_tokens"]
    share = cache_share(read, cacheable)
    return {**row, "cache_share": share}


def _chart(
    rows: list[dict[str, Any]],
    models: list[dict[str, Any]],
    measure: Measure,
    first: date,
    days: int,
) -> _Chart:
    """Stack each day's models into a column.

    Example: a day with $3 and $1, in a chart whose highest day cost $4 → blocks of 150 and 50 of
    the 200 units of height.
    """
    tones = tones_of(models)
    highest = _highest_day(rows, measure)
    if not highest:
        return _Chart([], _label(highest, measure))

    step = CHART_WIDTH / days
    tops: dict[date, float] = {}
    blocks = []
    # One order of the colours in every column, so that the eye can follow a model.
    for row in sorted(_with_others(rows, tones), key=itemgetter("tone")):
        value = _value(row, measure)
        if not value:
            continue
        day = row["day"]
        height = value / highest * CHART_HEIGHT
        tops[day] = tops.get(day, CHART_HEIGHT) - height
        blocks.append(
            Block(
                tone=row["tone"],
                title=f"{day} · {row['model'] or 'unknown model'} · {_label(value, measure)}",
                x=(day - first).days * step,
                y=tops[day],
                width=step * _COLUMN_SHARE,
                height=height,
            )
        )
    return _Chart(blocks, _label(highest, measure))


def _with_others(rows: Iterable[dict[str, Any]], tones: dict[str, int]) -> list[dict[str, Any]]:
    """Add up a day's models that share the last colour: "m6", "m7" → "2 others"."""
    named = []
    others: dict[date, dict[str, Any]] = {}
    is_shared = len(tones) > COLOURS
    for row in rows:
        tone = tones.get(row["model"], COLOURS - 1)
        if tone < COLOURS - 1 or not is_shared:
            named.append({**row, "tone": tone})
            continue
        day = row["day"]
        total = others.setdefault(day, {"day": day, "tone": tone, "names": set()})
        total["names"].add(row["model"])
        _add(total, row)
    for total in others.values():
        number = len(total["names"])
        total["model"] = "1 other" if number == 1 else f"{number} others"
    return [*named, *others.values()]


def _highest_day(rows: Iterable[dict[str, Any]], measure: Measure) -> float:
    totals: dict[date, float] = {}
    for row in rows:
        day = row["day"]
        totals.setdefault(day, 0.0)
        totals[day] += _value(row, measure)
    return max(totals.values(), default=0.0)


def tones_of(models: list[dict[str, Any]]) -> dict[str, int]:
    """Return each model's colour, the most used models first, and mark the rows with it."""
    tones: dict[str, int] = {}
    for row in models:
        # One model of two providers has one colour.
        tone = tones.setdefault(row["model"], min(len(tones), COLOURS - 1))
        row["tone"] = tone
    return tones


def _value(row: dict[str, Any], measure: Measure) -> float:
    match measure:
        case "cost":
            return float(row["cost_usd"] or 0)
        case "tokens":
            return float((row["input_tokens"] or 0) + (row["output_tokens"] or 0))
        case "requests":
            return float(row["requests"])


def _label(value: float, measure: Measure) -> str:
    if measure == "cost":
        return usd(value)
    return count(round(value))
