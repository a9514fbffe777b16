"""Tools that compare flows and export them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from ccproxy_site.mcp.mcp_caller import current_caller
from ccproxy_site.mcp.progress import counted
from ccproxy_site.mcp.text_window import DEFAULT_CHARS, TextWindow, window
from ccproxy_site.mcp.tools.flow_tools import Chars, FlowId, Offset, complete_flow
from flows.bodies.complete_flow import load_flows
from flows.compare.unified import body_lines, compare_neighbours, compare_sides
from flows.display.units import plural
from flows.export.har import har_text
from flows.export.session_kinds import SESSION_KINDS, file_name, session_pieces
from flows.queries.flow_set import FlowSetError, referred_ids, rows_of
from flows.queries.sessions import session
from providers.audit.log import audited

MAX_FLOWS: Final = 20
MAX_HAR_BYTES: Final = 32 * 1024 * 1024
MAX_EXPORT_BYTES: Final = 32 * 1024 * 1024

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


@dataclass(frozen=True, slots=True)
class SessionExport:
    """A part of a session's file, and how a person gets the complete one."""

    session_id: str
    requests: int
    file_name: str
    media_type: str
    size_bytes: int
    command: str
    """Writes the file on the machine of ccproxy."""
    part: TextWindow


def export_session(
    session_id: Annotated[str, Field(description="As list_flows shows it.")],
    kind: Annotated[
        Literal["markdown", "html", "jsonl"],
        Field(
            description=(
                "markdown: the conversation, to be read here. html and jsonl are files for people"
                " and for another ccproxy: have the command write them."
            )
        ),
    ] = "markdown",
    offset: Offset = None,
    limit: Chars = DEFAULT_CHARS,
) -> SessionExport:
    """Export a session as one file, or a part of its text. Secrets are redacted."""
    found = None if "\0" in session_id else session(session_id)
    if found is None:
        raise FlowSetError("No request of this session is stored.")
    requests = found.totals["requests"]
    name, suffix = file_name(found, kind), SESSION_KINDS[kind].suffix
    command = f"ccproxy flows export {shlex.quote(found.id)} -o {name}"
    text = bytearray()
    who = current_caller().for_audit()
    with audited("export", plural(requests, "flow"), by=who, detail=suffix):
        for piece in session_pieces(kind, found):
            text += piece
            if len(text) > MAX_EXPORT_BYTES:
                raise FlowSetError(f"The file is over 32 MB. Run: {command}")
    return SessionExport(
        session_id=found.id,
        requests=requests,
        file_name=name,
        media_type=SESSION_KINDS[kind].media_type,
        size_bytes=len(text),
        command=command,
        part=window(text.decode("utf-8", "replace"), offset, limit),
    )


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
