"""Adds finished flows to the daily roll-up. Call it in the transaction that writes them, before it does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date
from decimal import Decimal
from typing import Final

from django.db.models import F

from flows.models import Flow, UsageDaily

_SUMMED: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_NEEDED: Final = (
    "state", "started_at", "provider", "host", "sent_model", "requested_model", "session_id", "status_code",
    "cost_usd", *_SUMMED,
)  # fmt: skip
_FETCH_ROWS: Final = 200
Key = tuple[date, str, str, str]


@dataclass(slots=True)
class _Change:
    counts: dict[str, int] = field(default_factory=dict)
    cost_usd: Decimal = Decimal(0)

    def add(self, flow: Flow, sign: int) -> None:
        for name, number in _contribution(flow).items():
            self.counts[name] = self.counts.get(name, 0) + sign * number
        self.cost_usd += sign * (flow.cost_usd or 0)

    @property
    def nothing(self) -> bool:
        return not self.cost_usd and not any(self.counts.values())


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


def _contribution(flow: Flow) -> dict[str, int]:
    used = flow.input_tokens is not None or flow.output_tokens is not None
    return {
        "requests": 1,
        "failed": int(flow.state == Flow.State.ERROR or (flow.status_code or 0) >= 400),
        "unmetered": int(not used),
        "unpriced": int(used and flow.cost_usd is None),
        **{name: getattr(flow, name) or 0 for name in _SUMMED},
    }


def _apply(key: Key, change: _Change) -> None:
    day, provider, model, session_id = key
    place = {"day": day, "provider": provider, "model": model, "session_id": session_id}
    grown = {name: F(name) + number for name, number in change.counts.items() if number}
    if not UsageDaily.objects.filter(**place).update(**grown, cost_usd=F("cost_usd") + change.cost_usd):
        # A flow that was counted under a row deleted since must not make it negative.
        counts = {name: max(0, number) for name, number in change.counts.items()}
        UsageDaily.objects.create(**place, **counts, cost_usd=max(Decimal(0), change.cost_usd))
