"""Tools that compare flows and export them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from ccproxy_site.mcp.mcp_caller import current_caller
from ccproxy_site.mcp.progress import counted
from ccproxy_site.mcp.text_window import DEFAULT_CHARS, TextWindow, window
from ccproxy_site.mcp.tools.flow_tools import Chars, FlowId, Offset, complete_flow
from flows.bodies.complete_flow import load_flows
from flows.compare.unified import body_lines, compare_neighbours, compare_sides
from flows.display.units import plural
from flows.export.har import har_text
from flows.queries.flow_set import FlowSetError, referred_ids, rows_of
from providers.audit.log import audited

MAX_FLOWS: Final = 20
MAX_HAR_BYTES: Final = 32 * 1024 * 1024

FlowIds = Annotated[
    list[str], Field(min_length=1, max_length=MAX_FLOWS, description="Ids of flows.")
]


@dataclass(frozen=True, slots=True)
class HarPart:
    """A part of a HAR document."""

    flows: int
    part: TextWindow


@dataclass(frozen=True, slots=True)
class DiffPart:
    """A part of a unified diff with three lines of context."""

    compared: int
    """Pairs of flows."""
    identical: int
    """Pairs without a difference."""
    part: TextWindow


@dataclass(frozen=True, slots=True)
class SidesReport:
    """Both sides of one flow, and their differences."""

    flow_id: str
    client_request: TextWindow
    forwarded_request: TextWindow
    identical: bool
    diff: TextWindow
    """Addresses, headers and bodies: client → forwarded, provider → client."""


def dump_har(flow_ids: FlowIds, offset: Offset = None, limit: Chars = DEFAULT_CHARS) -> HarPart:
    """Return flows as HAR 1.2, or a part of the document. Secrets are redacted."""
    ids = referred_ids(flow_ids)
    who = current_caller().for_audit()
    flows = counted(load_flows(ids), len(ids), "flows are written")
    text = bytearray()
    with audited("export", plural(len(ids), "flow"), by=who, detail="HAR"):
        for part in har_text(rows_of(ids), flows):
            text += part
            if len(text) > MAX_HAR_BYTES:
                raise FlowSetError("These flows are over 32 MB as HAR. Ask for fewer of them.")
    return HarPart(len(ids), window(text.decode("utf-8", "replace"), offset, limit))


def diff_flows(
    flow_ids: Annotated[list[str], Field(min_length=2, max_length=MAX_FLOWS)],
    offset: Offset = None,
    limit: Chars = DEFAULT_CHARS,
) -> DiffPart:
    """Compare the forwarded request of each flow with the one named before it."""
    ids = referred_ids(flow_ids)
    flows = counted(load_flows(ids), len(ids), "flows are compared")
    found = list(compare_neighbours(flows))
    lines = [line for each in found for line in each.lines]
    same = sum(each.identical for each in found)
    return DiffPart(len(found), same, window("\n".join(lines), offset, limit))


def compare_flow(
    flow_id: FlowId, offset: Offset = None, limit: Chars = DEFAULT_CHARS
) -> SidesReport:
    """Compare what a client sent with what left the proxy, and the response on both sides."""
    found = complete_flow(flow_id)
    compared = compare_sides(found, headers=True)
    lines = [line for each in compared for line in each.lines]
    return SidesReport(
        flow_id=found.flow.pk,
        client_request=window("\n".join(body_lines(found, "client")), None, limit // 3),
        forwarded_request=window("\n".join(body_lines(found, "forwarded")), None, limit // 3),
        identical=not lines,
        diff=window("\n".join(lines), offset, limit),
    )
