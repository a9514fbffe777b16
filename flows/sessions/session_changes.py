"""Changes in a session by hook and part, and the losses of translations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from flows.models import FlowParts
from flows.sides import read_traces

_MAX_FLOWS: Final = 1_000


@dataclass(slots=True)
class Change:
    """One hook's change of the same parts, and the requests that it was made in."""

    hook: str
    stage: str
    parts: list[str]
    flows: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Loss:
    """A field that a translation left out, with the reason, and its requests."""

    path: str
    reason: str
    flows: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SessionChanges:
    """Changes and losses in the order in which they first happened."""

    changes: list[Change]
    losses: list[Loss]


def session_changes(flow_ids: Sequence[str]) -> SessionChanges:
    """Return the changes of some flows, equal ones together. One query.

    Example: `inject_auth` wrote `header:x-api-key` in 40 requests → one change with 40 flows.
    """
    parts = FlowParts.objects.filter(pk__in=flow_ids[:_MAX_FLOWS]).select_related("flow")
    rows = parts.only("headers", "steps", "flow__losses")
    by_id = {row.pk: row for row in rows}
    changes: dict[tuple[str, str, str], Change] = {}
    losses: dict[tuple[str, str], Loss] = {}
    for flow_id in flow_ids:
        row = by_id.get(flow_id)
        if row is None:
            continue
        _add_changes(changes, flow_id, row)
        for path, reason in _pairs(row.flow.losses):
            loss = losses.setdefault((path, reason), Loss(path, reason))
            loss.flows.append(flow_id)
    return SessionChanges(list(changes.values()), list(losses.values()))


def _add_changes(changes: dict[tuple[str, str, str], Change], flow_id: str, row: FlowParts) -> None:
    for trace in read_traces(row.headers, row.steps):
        # Notes on the exchange change nothing that leaves.
        written = [part for part in trace.changed if not part.startswith("meta:")]
        if not written:
            continue
        key = (trace.hook, trace.stage, "\n".join(written))
        change = changes.setdefault(key, Change(trace.hook, trace.stage, written))
        change.flows.append(flow_id)


def _pairs(losses: Iterable[Sequence[str]]) -> Iterable[tuple[str, str]]:
    for loss in losses:
        if len(loss) == 2:
            yield loss[0], loss[1]
