"""Tools that change the record or send requests; they need the write token."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

from pydantic import Field

from ccproxy_site.mcp.bounded_json import bounded
from ccproxy_site.mcp.mcp_caller import current_caller
from ccproxy_site.mcp.progress import counted, report
from ccproxy_site.mcp.tools.flow_tools import FlowId, complete_flow
from flows.display.units import plural
from flows.queries.flow_set import chosen_ids, jq_filters, newest
from flows.services import clear_steps, expected_steps
from interceptor.config.snapshot.load import load_snapshot
from interceptor.resend.draft import ResendError, draft_of, recorded_side
from interceptor.resend.outgoing import Outgoing, outgoing
from interceptor.resend.sender import await_flow, send_again
from providers.audit.log import audited
from shapes.versions.activation import save_version
from shapes.versions.capturing import check_type, review
from shapes.versions.shape_lines import summary

WAIT_S: Final = 3.0
_MAX_FINDINGS: Final = 50


@dataclass(frozen=True, slots=True)
class Cleared:
    """Number of deleted flows."""

    cleared: int
    kept: int
    """Flows that were chosen and stay, because they are pinned."""


@dataclass(frozen=True, slots=True)
class Resent:
    """A request that was sent again."""

    flow_id: str | None
    """The new flow; null while the proxy has not recorded it."""
    resent_from: str
    ticket: str
    edited: bool
    problem: str
    notes: list[str]


@dataclass(frozen=True, slots=True)
class CapturedShape:
    """A stored version of a shape, not active yet, and what was taken out of it."""

    status: str
    """ok, or unchanged where an earlier version has this content."""
    shape: dict[str, Any]
    scrubbed: list[str]


def clear_flows(
    jq_filter: Annotated[
        str,
        Field(description="Keeps the flows to delete, e.g. map(select(.error)). Empty: all."),
    ] = "",
) -> Cleared:
    """Delete recorded flows for good, all of them without a filter. Pinned flows stay."""
    own = [jq_filter] if jq_filter.strip() else []
    ids = chosen_ids(newest(None), jq_filters(own))
    with audited("clear", plural(len(ids), "flow"), by=current_caller().for_audit()):
        steps = counted(clear_steps(ids), expected_steps(len(ids)), "flows are deleted")
        deleted = sum(steps)
    return Cleared(deleted, len(ids) - deleted)


def resend_flow(
    flow_id: FlowId,
    as_forwarded: Annotated[
        bool, Field(description="The request that left the proxy, past rules and hooks.")
    ] = False,
    body: Annotated[
        str | None, Field(description="A complete body that replaces the recorded one.")
    ] = None,
) -> Resent:
    """Send a recorded request again. It spends the provider's account like any request."""
    found = complete_flow(flow_id)
    asked = _asked(found, as_forwarded=as_forwarded, body=body)
    if asked.problem:
        raise ResendError(asked.problem)
    row = send_again(asked, current_caller().for_audit())
    report(1, 2, "the request is sent")
    row = await_flow(row.ticket, WAIT_S) or row
    return Resent(
        flow_id=row.new_flow_id or None,
        resent_from=row.flow_id,
        ticket=row.ticket,
        edited=row.edited,
        problem=row.problem,
        notes=list(asked.notes),
    )


def _asked(found: Any, *, as_forwarded: bool, body: str | None) -> Outgoing:
    draft = None
    if body is not None:
        known = draft_of(found, recorded_side(found, as_forwarded=as_forwarded))
        if known.locked:
            raise ResendError(known.locked)
        draft = replace(known, body=body)
    return outgoing(found, load_snapshot(), as_forwarded=as_forwarded, draft=draft)


def capture_shape(
    flow_id: FlowId,
    provider: Annotated[str, Field(description="Type of the provider, such as anthropic.")],
) -> CapturedShape:
    """Store a flow's request as the next version of a shape, scrubbed and not active.

    A person looks at it in the console and activates it.
    """
    found = review(complete_flow(flow_id), check_type(provider))
    findings = [
        f"{each.outcome}: {each.kind} at {each.place}"
        for each in found.scrubbed.report.findings[:_MAX_FINDINGS]
    ]
    if found.same_as is not None:
        return CapturedShape("unchanged", bounded(summary(found.same_as)).value, findings)
    shape = save_version(found.shape, by=current_caller().for_audit(), activate=False)
    return CapturedShape("ok", bounded(summary(shape)).value, findings)
