"""Adds finished flows to the daily roll-up. Call it in the transaction that writes them, before it does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date
from decimal import Decimal
from typing import Any, Final

from django.db.models import BigIntegerField, DecimalField, F, Field, Value
from django.db.models.functions import Coalesce

from flows.models import Flow, UsageDaily

_TOLD: Final = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "cost_usd",
)  # fmt: skip
_NEEDED: Final = (
    "state", "started_at", "provider", "host", "sent_model", "requested_model", "session_id", "status_code",
    *_TOLD,
)  # fmt: skip
_FETCH_ROWS: Final = 200
Key = tuple[date, str, str, str]


@dataclass(slots=True)
class _Change:
    """What to add to one row; sums that nobody told anything about are left out."""

    sums: dict[str, int | Decimal] = field(default_factory=dict)

    def add(self, flow: Flow, sign: int) -> None:
        for name, number in _contribution(flow).items():
            self.sums[name] = self.sums.get(name, 0) + sign * number

    @property
    def nothing(self) -> bool:
        return not any(self.sums.values())


def roll_up(flows: Sequence[Flow]) -> None:
    """Count `flows`, and take away what an earlier hand-over of the same flow had counted: doing it twice is once."""
    changes: dict[Key, _Change] = {}
    for sign, counted in ((-1, _written(flows)), (1, flows)):
        for flow in counted:
            if _counts(flow):
                changes.setdefault(_key(flow), _Change()).add(flow, sign)
    for key, change in sorted(changes.items()):
        if not change.nothing:
            _apply(key, change)


def _written(flows: Sequence[Flow]) -> Iterable[Flow]:
    ids = [flow.pk for flow in flows if flow.state != Flow.State.LIVE]
    for start in range(0, len(ids), _FETCH_ROWS):
        chunk = Flow.objects.filter(pk__in=ids[start : start + _FETCH_ROWS])
        yield from chunk.exclude(state=Flow.State.LIVE).only(*_NEEDED)


def _counts(flow: Flow) -> bool:
    """Calls of a model; what clients ask beside them (telemetry, settings) is no usage."""
    return flow.state != Flow.State.LIVE and bool(_model(flow) or flow.input_tokens is not None)


def _model(flow: Flow) -> str:
    return flow.sent_model or flow.requested_model


def _key(flow: Flow) -> Key:
    return flow.started_at.astimezone(UTC).date(), (flow.provider or flow.host)[:64], _model(flow), flow.session_id


def _contribution(flow: Flow) -> dict[str, int | Decimal]:
    used = flow.input_tokens is not None or flow.output_tokens is not None
    told = {name: getattr(flow, name) for name in _TOLD}
    if flow.cache_read_tokens is not None:
        told["cacheable_tokens"] = flow.input_tokens
    return {
        "requests": 1,
        "failed": int(flow.state == Flow.State.ERROR or (flow.status_code or 0) >= 400),
        "unmetered": int(not used),
        "unpriced": int(used and flow.cost_usd is None),
        **{name: number for name, number in told.items() if number is not None},
    }


def _apply(key: Key, change: _Change) -> None:
    day, provider, model, session_id = key
    place = {"day": day, "provider": provider, "model": model, "session_id": session_id}
    grown = {name: Coalesce(F(name), Value(0), output_field=_column(name)) + number
             for name, number in change.sums.items()}  # fmt: skip
    if not UsageDaily.objects.filter(**place).update(**grown):
        # A flow that was counted under a row deleted since must not make it negative.
        UsageDaily.objects.create(**place, **{name: max(number, 0) for name, number in change.sums.items()})


def _column(name: str) -> Field[Any, Any]:
    return DecimalField(max_digits=18, decimal_places=8) if name == "cost_usd" else BigIntegerField()
