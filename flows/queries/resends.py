"""Which flow a flow was sent again from, and which ones it became."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from django.db.models import Q

from flows.models import Flow, Resend

MAX_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Resends:
    """The links of one flow. `gone` says that the original is not stored any more."""

    origin: Resend | None = None
    gone: bool = False
    again: list[Resend] = field(default_factory=list)
    """The newest that it was sent again as, oldest first."""


def resends_of(flow_id: str) -> Resends:
    """Both directions; flows that are gone are left out.

    One query where there is nothing, two otherwise.
    """
    used = Resend.objects.exclude(new_flow_id="")
    rows = list(
        used.filter(Q(flow_id=flow_id) | Q(new_flow_id=flow_id)).order_by("-created_at", "-ticket")[
            :MAX_SHOWN
        ]
    )
    if not rows:
        return Resends()
    named = {row.flow_id for row in rows} | {row.new_flow_id for row in rows}
    there = set(Flow.objects.filter(pk__in=named).values_list("pk", flat=True))
    origin = next((row for row in rows if row.new_flow_id == flow_id), None)
    again = [row for row in reversed(rows) if row.flow_id == flow_id and row.new_flow_id in there]
    return Resends(origin, origin is not None and origin.flow_id not in there, again)
