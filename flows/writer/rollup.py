"""Daily usage: sums over finished flows by day, provider, model and session.

`roll_up` runs in the transaction that writes the flows, before they are written: it reads their
older state to take away what that had counted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date
from decimal import Decimal
from functools import cache
from operator import attrgetter
from typing import Any, Final, NamedTuple

from django.db import connection
from django.db.models import BigIntegerField, DecimalField, F, Field, Value
from django.db.models.functions import Coalesce

from flows.failure import has_failed
from flows.models import INTERRUPTED, Flow, UsageDaily

_REPORTED: Final = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
    "cost_usd",
)  # fmt: skip
_NEEDED: Final = (
    "state", "started_at", "provider", "host", "sent_model", "requested_model", "session_id",
    "status_code",
    *_REPORTED,
)  # fmt: skip
_COUNTS: Final = ("requests", "failed", "unmetered", "unpriced")
_SUMS: Final = (*_COUNTS, *_REPORTED, "cacheable_tokens")
_reported_by = attrgetter(*_REPORTED)
Sums = dict[str, int | Decimal]
"""What to add by column; sums that no flow reported anything about are left out."""


class _Key(NamedTuple):
    """The columns that name a row."""

    day: date
    provider: str
    model: str
    session_id: str


def roll_up(flows: Sequence[Flow], ended_ids: Collection[str] | None = None) -> None:
    """Count `flows` instead of their older state; doing it twice is once.

    `ended_ids`: ids of those whose last state is stored already, if known. Of the others no older
    state was counted.
    """
    changes: dict[_Key, Sums] = {}
    _add(changes, _older_states(flows, ended_ids), -1)
    _add(changes, flows, 1)
    grown: list[tuple[_Key, Sums]] = []
    corrected: list[tuple[_Key, Sums]] = []
    # In order, so that two writers never wait for each other.
    for key in sorted(changes):
        sums = changes[key]
        if min(sums.values()) < 0:
            corrected.append((key, sums))
        elif any(sums.values()):
            grown.append((key, sums))
    _grow(grown)
    for key, sums in corrected:
        _correct(key, sums)


def _add(changes: dict[_Key, Sums], flows: Iterable[Flow], sign: int) -> None:
    for flow in flows:
        if not _counts(flow):
            continue
        sums = changes.setdefault(_key(flow), {})
        for name, number in _contribution(flow).items():
            sums[name] = sums.get(name, 0) + sign * number


def _older_states(flows: Sequence[Flow], ended_ids: Collection[str] | None) -> Iterable[Flow]:
    ids: list[str] = []
    for flow in flows:
        may_be_counted = ended_ids is None or flow.pk in ended_ids
        if may_be_counted and flow.state != Flow.State.LIVE:
            ids.append(flow.pk)
    if not ids:
        return ()
    finished = Flow.objects.filter(pk__in=ids).exclude(state=Flow.State.LIVE)
    # Nobody counted those: they were marked in the database alone.
    finished = finished.exclude(error=INTERRUPTED)
    return finished.only(*_NEEDED)


def _counts(flow: Flow) -> bool:
    """Check for a finished call of a model; other requests (telemetry, settings) are no usage."""
    if flow.state == Flow.State.LIVE:
        return False
    return bool(_model(flow)) or flow.input_tokens is not None


def _model(flow: Flow) -> str:
    return flow.sent_model or flow.requested_model


def _key(flow: Flow) -> _Key:
    started_at = flow.started_at.astimezone(UTC)
    provider = flow.provider or flow.host
    return _Key(
        day=started_at.date(),
        provider=provider[:64],
        model=_model(flow),
        session_id=flow.session_id,
    )


def _contribution(flow: Flow) -> Sums:
    is_metered = flow.input_tokens is not None or flow.output_tokens is not None
    sums: Sums = {
        "requests": 1,
        "failed": int(has_failed(flow)),
        "unmetered": int(not is_metered),
        "unpriced": int(is_metered and flow.cost_usd is None),
    }
    for name, number in zip(_REPORTED, _reported_by(flow), strict=True):
        if number is not None:
            sums[name] = number
    if flow.cache_read_tokens is not None and flow.input_tokens is not None:
        sums["cacheable_tokens"] = flow.input_tokens
    return sums


def _grow(changes: Sequence[tuple[_Key, Sums]]) -> None:
    """Add to rows, or insert them, in one statement.

    A sum that no flow reported anything about stays as it is.
    """
    if not changes:
        return
    values: list[tuple[Any, ...]] = []
    for key, sums in changes:
        day = connection.ops.adapt_datefield_value(key.day)
        adapted = [_adapted(name, sums.get(name)) for name in _SUMS]
        values.append((day, *key[1:], *adapted))
    with connection.cursor() as cursor:
        cursor.executemany(_statement(), values)


@cache
def _statement() -> str:
    table = UsageDaily._meta.db_table
    columns = (*_Key._fields, *_SUMS)
    # NULL + 1 is NULL: then the sum is whichever of the two is known.
    assignments = [
        f"{name} = COALESCE({table}.{name} + EXCLUDED.{name}, {table}.{name}, EXCLUDED.{name})"
        for name in _SUMS
    ]
    names = ", ".join(columns)
    placeholders = ", ".join(["%s"] * len(columns))
    key = ", ".join(_Key._fields)
    changes = ", ".join(assignments)
    return (
        f"INSERT INTO {table} ({names}) VALUES ({placeholders}) "  # noqa: S608
        f"ON CONFLICT ({key}) DO UPDATE SET {changes}"
    )


def _adapted(name: str, number: int | Decimal | None) -> Any:
    if number is None:
        return 0 if name in _COUNTS else None
    if name == "cost_usd":
        return _column(name).get_db_prep_save(number, connection)
    return number


def _correct(key: _Key, sums: Sums) -> None:
    """Add to one row where a sum shrinks: a flow that another row had counted before."""
    row: dict[str, Any] = key._asdict()
    grown: dict[str, Any] = {}
    for name, number in sums.items():
        known = Coalesce(F(name), Value(0), output_field=_column(name))
        grown[name] = known + number
    if UsageDaily.objects.filter(**row).update(**grown):
        return
    # A flow that a deleted row had counted must not make the new one negative.
    positive = {name: max(number, 0) for name, number in sums.items()}
    UsageDaily.objects.create(**row, **positive)


def _column(name: str) -> Field[Any, Any]:
    if name == "cost_usd":
        return DecimalField(max_digits=18, decimal_places=8)
    return BigIntegerField()
