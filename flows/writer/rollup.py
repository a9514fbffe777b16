"""Adds finished flows to the daily roll-up.

Call it in the transaction that writes them, before it does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date
from decimal import Decimal
from functools import cache
from operator import attrgetter
from typing import Any, Final

from django.db import connection
from django.db.models import BigIntegerField, DecimalField, F, Field, Value
from django.db.models.functions import Coalesce

from flows.models import Flow, UsageDaily

_TOLD: Final = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
    "cost_usd",
)  # fmt: skip
_NEEDED: Final = (
    "state", "started_at", "provider", "host", "sent_model", "requested_model", "session_id",
    "status_code",
    *_TOLD,
)  # fmt: skip
_COUNTS: Final = ("requests", "failed", "unmetered", "unpriced")
_SUMS: Final = (*_COUNTS, *_TOLD, "cacheable_tokens")
_PLACE: Final = ("day", "provider", "model", "session_id")
_told_of = attrgetter(*_TOLD)
Key = tuple[date, str, str, str]


@dataclass(slots=True)
class _Change:
    """What to add to one row; sums that nobody told anything about are left out."""

    sums: dict[str, int | Decimal] = field(default_factory=dict)

    def add(self, flow: Flow, sign: int) -> None:
        sums = self.sums
        for name, number in _contribution(flow).items():
            sums[name] = sums.get(name, 0) + sign * number

    @property
    def nothing(self) -> bool:
        return not any(self.sums.values())


def roll_up(flows: Sequence[Flow], there: Collection[str] | None = None) -> None:
    """Count `flows`, and take away what an earlier hand-over of the same flow had counted: doing it
    twice is once.

    `there` are the ids of those that are stored already, if that is known.
    """
    changes: dict[Key, _Change] = {}
    for sign, counted in ((-1, _written(flows, there)), (1, flows)):
        for flow in counted:
            if _counts(flow):
                changes.setdefault(_key(flow), _Change()).add(flow, sign)
    changed = sorted((key, change.sums) for key, change in changes.items() if not change.nothing)
    _grow([(key, sums) for key, sums in changed if min(sums.values()) >= 0])
    for key, sums in changed:
        if min(sums.values()) < 0:
            _correct(key, sums)


def _written(flows: Sequence[Flow], there: Collection[str] | None) -> Iterable[Flow]:
    ids = [
        flow.pk
        for flow in flows
        if flow.state != Flow.State.LIVE and (there is None or flow.pk in there)
    ]
    return (
        Flow.objects.filter(pk__in=ids).exclude(state=Flow.State.LIVE).only(*_NEEDED) if ids else ()
    )


def _counts(flow: Flow) -> bool:
    """Calls of a model; what clients ask beside them (telemetry, settings) is no usage."""
    return flow.state != Flow.State.LIVE and bool(_model(flow) or flow.input_tokens is not None)


def _model(flow: Flow) -> str:
    return flow.sent_model or flow.requested_model


def _key(flow: Flow) -> Key:
    return (
        flow.started_at.astimezone(UTC).date(),
        (flow.provider or flow.host)[:64],
        _model(flow),
        flow.session_id,
    )


def _contribution(flow: Flow) -> dict[str, int | Decimal]:
    used = flow.input_tokens is not None or flow.output_tokens is not None
    told = {
        name: number
        for name, number in zip(_TOLD, _told_of(flow), strict=True)
        if number is not None
    }
    if flow.cache_read_tokens is not None and flow.input_tokens is not None:
        told["cacheable_tokens"] = flow.input_tokens
    return {
        "requests": 1,
        "failed": int(flow.state == Flow.State.ERROR or (flow.status_code or 0) >= 400),
        "unmetered": int(not used),
        "unpriced": int(used and flow.cost_usd is None),
        **told,
    }


def _grow(changes: Sequence[tuple[Key, dict[str, int | Decimal]]]) -> None:
    """Add to rows, or make them, in one statement.

    A sum that nobody told anything about stays as it is.
    """
    values = [
        (*_adapted_day(key), *(_adapted(name, sums.get(name)) for name in _SUMS))
        for key, sums in changes
    ]
    if values:
        with connection.cursor() as cursor:
            cursor.executemany(_statement(), values)


@cache
def _statement() -> str:
    table, columns = UsageDaily._meta.db_table, (*_PLACE, *_SUMS)
    grown = ", ".join(
        f"{name} = COALESCE({table}.{name} + EXCLUDED.{name}, {table}.{name}, EXCLUDED.{name})"
        for name in _SUMS
    )
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))}) "  # noqa: S608
        f"ON CONFLICT ({', '.join(_PLACE)}) DO UPDATE SET {grown}"
    )


def _adapted_day(key: Key) -> tuple[Any, ...]:
    day, *names = key
    return connection.ops.adapt_datefield_value(day), *names


def _adapted(name: str, number: int | Decimal | None) -> Any:
    if number is None:
        return 0 if name in _COUNTS else None
    return _column(name).get_db_prep_save(number, connection) if name == "cost_usd" else number


def _correct(key: Key, sums: dict[str, int | Decimal]) -> None:
    """The same where something is taken away: a flow that was counted under another row before."""
    place = dict(zip(_PLACE, key, strict=True))
    grown = {
        name: Coalesce(F(name), Value(0), output_field=_column(name)) + number
        for name, number in sums.items()
    }
    if not UsageDaily.objects.filter(**place).update(**grown):
        # A flow that was counted under a row deleted since must not make it negative.
        UsageDaily.objects.create(
            **place, **{name: max(number, 0) for name, number in sums.items()}
        )


def _column(name: str) -> Field[Any, Any]:
    return (
        DecimalField(max_digits=18, decimal_places=8) if name == "cost_usd" else BigIntegerField()
    )
