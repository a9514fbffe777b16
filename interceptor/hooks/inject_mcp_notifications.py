"""Events of other programs for the session of a request, as a tool call and its result.

Only a session for which `POST /mcp/notify` was called gets any; for every other request the hook
looks into a set in memory and does not run.
"""

from __future__ import annotations

from interceptor.notes.injected_pair import inject
from interceptor.notes.note_book import TaskEvents
from interceptor.pipeline.exchange import Exchange, HookReport
from interceptor.pipeline.hook import Stage, hook
from providers.wire.detect import client_format, endpoint_suffix

TAKE_TIMEOUT_S = 2.0


def _session(ex: Exchange) -> str:
    found = ex.metadata.get("session_id")
    return found if isinstance(found, str) else ""


def _is_awaited(ex: Exchange) -> bool:
    if ex.notes is None or ex.method != "POST":
        return False
    session = _session(ex)
    return bool(session) and ex.notes.waits_for(session) and _is_main_endpoint(ex)


def _is_main_endpoint(ex: Exchange) -> bool:
    """Return False for an endpoint that counts tokens, or lists what is stored."""
    wire = client_format(ex.path, ex.headers.get)
    return wire is not None and not endpoint_suffix(ex.path, wire)


async def _take(ex: Exchange) -> list[TaskEvents]:
    """Reserve the events for this flow; they are given back unless it succeeds."""
    if ex.notes is None:
        return []
    return await ex.notes.take(_session(ex), ex.flow_id)


@hook(
    stage=Stage.OUTBOUND,
    reads={"meta:session_id", "body"},
    writes={"body"},
    guard=_is_awaited,
    prepare=_take,
    timeout_s=TAKE_TIMEOUT_S,
    is_quiet=True,
)
def inject_mcp_notifications(ex: Exchange) -> None:
    """Insert events that programs sent to /mcp/notify for the session of the request."""
    wire = client_format(ex.path, ex.headers.get)
    found: list[TaskEvents] = ex.prepared
    if ex.notes is None or wire is None or not found:
        ex.report = HookReport("no event waits for this session")
        return
    inserted = None
    try:
        inserted = inject(ex.json, wire, found, ex.flow_id)
    finally:
        if inserted is None:
            ex.notes.settle(ex.flow_id, delivered=False)
    if inserted is None:
        ex.report = HookReport("the request has no place for events; they wait for the next one")
    else:
        ex.report = HookReport(f"events of {inserted} tasks")
