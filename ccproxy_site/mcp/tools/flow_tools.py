"""Tools that list flows and read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

from pydantic import Field

from ccproxy_site.mcp.bounded_json import bounded, bounded_list
from ccproxy_site.mcp.text_window import DEFAULT_CHARS, MAX_CHARS, TextWindow, window
from flows.bodies.complete_flow import CompleteFlow, load_flow
from flows.models import Flow
from flows.queries.filters import FlowFilter
from flows.queries.flow_set import FlowSetError, jq_window, referred_ids
from flows.queries.selectors import flow_detail
from flows.queries.summary import flow_detail_json
from flows.reading.body_view import body_view
from flows.record import LOOKUP
from flows.search.text_filter import page_hits, search_notes
from flows.sides import header

_NAMES: Final = {"q": "text", "session": "session_id", "hook": "changed_by_hook"}
"""The form's fields whose arguments have other names."""

DEFAULT_FLOWS: Final = 20
MAX_FLOWS: Final = 200

FlowId = Annotated[str, Field(description="Id of a flow, or the unique start of one.")]
Limit = Annotated[
    int, Field(ge=1, le=MAX_FLOWS, description="At most this many flows, the newest first.")
]
Offset = Annotated[
    int | None,
    Field(ge=0, description="First character to return. Without it: beginning and end."),
]
Chars = Annotated[int, Field(ge=1, le=MAX_CHARS, description="At most this many characters.")]


@dataclass(frozen=True, slots=True)
class FlowRow:
    """One flow as lists show it. Token counts and costs that are unknown are null."""

    id: str
    started_at: str
    state: str
    method: str
    host: str
    path: str
    status_code: int | None
    provider: str
    requested_model: str
    sent_model: str
    session_id: str
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cost_usd: float | None
    duration_ms: float | None
    error: str
    found: str = ""
    """Where a search found its words: "tool result, turn 7: …"; empty for names and columns."""


@dataclass(frozen=True, slots=True)
class FlowList:
    """Flows, newest first, or what a jq filter made of them."""

    flows: list[Any]
    note: str
    """How to get more; empty when nothing is left out."""


@dataclass(frozen=True, slots=True)
class FlowDetails:
    """One flow; `flow` is null when there is none."""

    flow: dict[str, Any] | None
    note: str


@dataclass(frozen=True, slots=True)
class BodyPart:
    """A part of a body, decoded to text."""

    flow_id: str
    side: str
    """client, forwarded, upstream or delivered; empty when no body is stored."""
    content_type: str
    size_bytes: int
    redacted: bool
    """Secrets were replaced before the body was stored."""
    truncated: bool
    """The body was too large to be stored in full."""
    part: TextWindow


def flow_row(flow: Flow) -> FlowRow:
    """Return the row of a flow."""
    return FlowRow(
        id=flow.pk,
        started_at=flow.started_at.isoformat(),
        state=flow.state,
        method=flow.method,
        host=flow.host,
        path=flow.path[:300],
        status_code=flow.status_code,
        provider=flow.provider,
        requested_model=flow.requested_model,
        sent_model=flow.sent_model,
        session_id=flow.session_id,
        input_tokens=flow.input_tokens,
        output_tokens=flow.output_tokens,
        cache_read_tokens=flow.cache_read_tokens,
        cost_usd=None if flow.cost_usd is None else float(flow.cost_usd),
        duration_ms=flow.duration_ms,
        error=flow.error[:500],
    )


def list_flows(
    jq_filter: Annotated[
        str,
        Field(
            description=(
                "A jq filter from array to array, over the complete JSON of the newest flows, e.g."
                " map(select(.response.status_code >= 400) | {id, path: .request.path})."
            )
        ),
    ] = "",
    limit: Limit = DEFAULT_FLOWS,
) -> FlowList:
    """List recorded flows, newest first. With a jq filter, return what the filter makes of them."""
    newest = Flow.objects.exclude(method=LOOKUP).order_by("-started_at", "-id")
    if jq_filter.strip():
        found = jq_window(newest, [jq_filter])
        return FlowList(*bounded_list(found.results, len(found.results)))
    total = newest.count()
    rows = [flow_row(flow) for flow in newest.defer("search_text")[:limit]]
    return FlowList(*bounded_list(rows, total))


def search_flows(
    text: Annotated[
        str,
        Field(
            description=(
                "Words, or phrases in double quotes, in messages, tool calls, tool results,"
                " thinking, request ids, headers, addresses, models, errors. A text is found in"
                " the flow that sent it first."
            )
        ),
    ] = "",
    provider: str = "",
    model: Annotated[str, Field(description="Requested or sent model.")] = "",
    status: Annotated[str, Field(description="2xx, 3xx, 4xx, 5xx, or none.")] = "",
    failed: Annotated[bool | None, Field(description="Only failed flows, or only others.")] = None,
    session_id: str = "",
    changed_by_hook: Annotated[str, Field(description="Name of a hook that changed it.")] = "",
    header: Annotated[str, Field(description="NAME or NAME: VALUE, on any side.")] = "",
    after: Annotated[str, Field(description="Started at or after this ISO time.")] = "",
    before: Annotated[str, Field(description="Started before this ISO time.")] = "",
    limit: Limit = DEFAULT_FLOWS,
) -> FlowList:
    """Search recorded flows, newest first. A flow has to pass all filters that are given."""
    given: dict[str, Any] = {
        "q": text,
        "provider": provider,
        "model": model,
        "status": status,
        "error": failed,
        "session": session_id,
        "hook": changed_by_hook,
        "header": header,
        "after": after,
        "before": before,
    }
    chosen = FlowFilter(given, queryset=Flow.objects.order_by("-started_at", "-id"))
    if not chosen.form.is_valid():
        raise FlowSetError(_problems(chosen.form.errors.get_json_data()))
    total = chosen.qs.count()
    rows = _rows_with_hits(text, list(chosen.qs.defer("search_text")[:limit]))
    shown, note = bounded_list(rows, total)
    return FlowList(shown, " ".join(filter(None, (note, *search_notes(text)))))


def _rows_with_hits(text: str, flows: list[Flow]) -> list[FlowRow]:
    """Return the rows of flows, each with the place where it has the text that was searched."""
    hits = page_hits(text, flows)
    rows = []
    for flow in flows:
        row = flow_row(flow)
        hit = hits.get(flow.pk)
        rows.append(replace(row, found=f"{hit.where}: {hit.text}") if hit else row)
    return rows


def _problems(errors: Mapping[str, Any]) -> str:
    """Write a form's errors: `{"after": [{"message": "Enter a valid date."}]}` → one line."""
    texts = []
    for name, found in errors.items():
        for each in found:
            texts.append(f"{_NAMES.get(name, name)}: {each['message']}")
    return " ".join(texts)


def get_flow(flow_id: FlowId) -> FlowDetails:
    """Return one flow with the headers of its four sides, each hook's changes and each attempt.

    Bodies are read with get_request_body and get_response_body.
    """
    try:
        found = flow_detail(the_id(flow_id))
    except FlowSetError as exc:
        return FlowDetails(None, str(exc))
    if found is None:
        return FlowDetails(None, "There is no such flow; it may have been cleared.")
    details = flow_detail_json(found.flow, found.sides, found.traces, found.attempts)
    return FlowDetails(*bounded(details))


def get_request_body(
    flow_id: FlowId,
    as_forwarded: Annotated[
        bool, Field(description="The request that left the proxy, not the client's.")
    ] = False,
    offset: Offset = None,
    limit: Chars = DEFAULT_CHARS,
) -> BodyPart:
    """Return a request's body as text, or a part of it. Secrets are redacted."""
    sides = ("forwarded", "client") if as_forwarded else ("client", "forwarded")
    return _body(flow_id, sides, offset, limit)


def get_response_body(
    flow_id: FlowId,
    as_delivered: Annotated[
        bool, Field(description="The response as the client got it, not the provider's.")
    ] = False,
    offset: Offset = None,
    limit: Chars = DEFAULT_CHARS,
) -> BodyPart:
    """Return a response's body as text, or a part of it. Secrets are redacted."""
    sides = ("delivered", "upstream") if as_delivered else ("upstream", "delivered")
    return _body(flow_id, sides, offset, limit)


def the_id(reference: str) -> str:
    """Return the complete id of a flow that is named by it, or by its start.

    Raises:
        FlowSetError: the reference fits no flow, or several.
    """
    return referred_ids([reference])[0]


def complete_flow(reference: str) -> CompleteFlow:
    """Return a flow with its bodies.

    Raises:
        FlowSetError: the reference fits no flow, or several.
    """
    found = load_flow(the_id(reference))
    if found is None:
        raise FlowSetError("There is no such flow; it may have been cleared.")
    return found


def _body(flow_id: str, sides: tuple[str, ...], offset: int | None, limit: int) -> BodyPart:
    found = complete_flow(flow_id)
    side = found.side(*sides)
    if side is None:
        return BodyPart(found.flow.pk, "", "", 0, False, False, window("", 0, limit))
    content_type = header(side.headers, "content-type")
    plain = found.plain(side)
    if body_view(side.side, plain, content_type).kind == "binary":
        text = f"(binary, {len(plain)} bytes)"
    else:
        text = plain.decode("utf-8", "replace")
    return BodyPart(
        flow_id=found.flow.pk,
        side=side.side,
        content_type=content_type,
        size_bytes=side.body_size_bytes,
        redacted=side.body_redacted,
        truncated=side.body_truncated,
        part=window(text, offset, limit),
    )
