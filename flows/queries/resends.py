"""Links between a flow and its resends, in both directions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from django.db.models import Q

from flows.models import Flow, Resend

MAX_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Resends:
    """The links of one flow. `gone` is true if the original was deleted."""

    origin: Resend | None = None
    gone: bool = False
    again: list[Resend] = field(default_factory=list)
    """The newest resends of this flow, oldest first."""


def resends_of(flow_id: str) -> Resends:
    """Return both directions; deleted flows are left out.

    One query where there are no links, two otherwise.
    """
    concerned = Q(flow_id=flow_id) | Q(new_flow_id=flow_id)
    # A grant that was never used leads to no flow.
    used = Resend.objects.exclude(new_flow_id="").filter(concerned)
    newest = list(used.order_by("-created_at", "-ticket")[:MAX_SHOWN])
    if not newest:
        return Resends()

    named: set[str] = set()
    for row in newest:
        named.update((row.flow_id, row.new_flow_id))
    stored = set(Flow.objects.filter(pk__in=named).values_list("pk", flat=True))
    origin = next((row for row in newest if row.new_flow_id == flow_id), None)
    origin_gone = origin is not None and origin.flow_id not in stored
    oldest_first = reversed(newest)
    again = []
    for row in oldest_first:
        if row.flow_id == flow_id and row.new_flow_id in stored:
            again.append(row)
    return Resends(origin, origin_gone, again)
