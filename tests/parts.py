"""Sides and hooks' traces of stored flows, for tests that make or change them by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from flows.bytes.database_text import database_json
from flows.models import BodyRef, Flow, FlowParts
from flows.queries.selectors import sides_of, traces_of
from flows.sides import FlowSide, HookTrace, write_parts


def add_side(flow_id: str, side: str, **fields: Any) -> FlowSide:
    """Give a flow one more side."""
    made = FlowSide(side=side, **fields)
    put_parts(flow_id, [*sides_of(flow_id).values(), made], traces_of(flow_id))
    return made


def add_trace(flow_id: str, **fields: Any) -> HookTrace:
    """Give a flow one more step."""
    traces = traces_of(flow_id)
    made = HookTrace(**({"seq": len(traces)} | fields))
    put_parts(flow_id, list(sides_of(flow_id).values()), [*traces, made])
    return made


def change_sides(flow_id: str, *names: str, **fields: Any) -> None:
    """Set `fields` of those sides of a flow, or of all of them."""
    sides = sides_of(flow_id)
    for name in names or sides:
        for field, value in fields.items():
            setattr(sides[name], field, value)
    put_parts(flow_id, list(sides.values()), traces_of(flow_id))


def all_sides(*names: str) -> list[FlowSide]:
    """The sides of these names (or all) of every flow."""
    stored = FlowParts.objects.order_by("flow__started_at", "pk")
    return [
        side
        for parts in stored
        for name, side in parts.by_side().items()
        if not names or name in names
    ]


def put_parts(flow_id: str, sides: Sequence[FlowSide], traces: Sequence[HookTrace] = ()) -> None:
    """Store these sides and traces of a flow, in place of what was there, and which bodies it
    needs.
    """
    FlowParts.objects.update_or_create(flow_id=flow_id, defaults=asdict(write_parts(sides, traces)))
    names = list(dict.fromkeys(trace.hook for trace in traces if trace.outcome == "ran"))
    Flow.objects.filter(pk=flow_id).update(hooks_ran=database_json(names).decode())
    digests = {side.body_digest for side in sides} | {
        d for t in traces for d in (t.body_before, t.body_after)
    }
    BodyRef.objects.filter(flow_id=flow_id).delete()
    BodyRef.objects.bulk_create(
        [BodyRef(flow_id=flow_id, digest=digest) for digest in sorted(digests - {""})]
    )
