"""Tools that read one request closely: its conversation, context, cache, losses, route."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from ccproxy_site.mcp.bounded_json import bounded, bounded_list
from ccproxy_site.mcp.text_window import DEFAULT_CHARS, TextWindow, window
from ccproxy_site.mcp.tools.flow_tools import Chars, FlowId, Limit, Offset, complete_flow, the_id
from flows.console.context_tab import context_tab
from flows.models import Flow
from flows.queries.flow_set import FlowSetError
from flows.queries.selectors import FlowDetail, flow_detail
from flows.reading.context_size import ContextSize
from flows.reading.transcript import transcript
from interceptor.explain.as_configured import explain_as_configured
from interceptor.explain.sources import as_json, of_flow

_MAX_LOSSY_FLOWS = 20


@dataclass(frozen=True, slots=True)
class ConversationPart:
    """A part of a conversation as Markdown."""

    flow_id: str
    part: TextWindow


@dataclass(frozen=True, slots=True)
class DryRun:
    """The proxy's decisions about a request under the present configuration."""

    flow_id: str
    explanation: dict[str, Any]
    note: str


@dataclass(frozen=True, slots=True)
class CacheReport:
    """Use of the prompt cache by one request."""

    flow_id: str
    broken: bool | None
    """null: there is no earlier request to compare with."""
    sentence: str
    cost: str
    by: str
    """The client, the proxy, or the name of the hook that changed the prompt."""
    path: str
    """Address of the first difference in the body."""
    previous_flow_id: str
    cache_read_tokens: int | None
    cache_write_tokens: int | None


@dataclass(frozen=True, slots=True)
class ContextPart:
    """One kind of content; `tokens` are estimated from bytes, null for images."""

    label: str
    size_bytes: int
    count: int
    share: float
    tokens: int | None


@dataclass(frozen=True, slots=True)
class ContextReport:
    """Contents of a request's context window."""

    flow_id: str
    parts: list[ContextPart]
    tools: list[Any]
    """Name and size of each tool's declaration, the largest first."""
    largest: list[Any]
    """Position, kind and size of the largest blocks."""
    total_bytes: int
    input_tokens: int | None
    window_tokens: int | None
    window_share: float | None
    note: str


@dataclass(frozen=True, slots=True)
class LossReport:
    """Fields that translation between wire formats could not express."""

    flows: list[Any]
    note: str


def get_conversation(
    flow_id: FlowId, offset: Offset = None, limit: Chars = DEFAULT_CHARS
) -> ConversationPart:
    """Return the conversation of a request and its response as Markdown, or a part of it."""
    found = complete_flow(flow_id)
    return ConversationPart(found.flow.pk, window(transcript(found), offset, limit))


def explain_flow(flow_id: FlowId) -> DryRun:
    """Explain what the proxy would do with this request now: rules, route, hooks, what leaves.

    A dry run: no network, no credential.
    """
    found = complete_flow(flow_id)
    return DryRun(found.flow.pk, *bounded(as_json(explain_as_configured(of_flow(found)))))


def why_cache_missed(flow_id: FlowId) -> CacheReport:
    """Say if a request could use the prompt cache, and if not: where it broke and by whom.

    Compares the request with the previous one of its conversation.
    """
    detail = _detail(flow_id)
    flow = detail.flow
    shown = context_tab(detail, {})
    finding = shown["cache"]
    if finding is None:
        sentence = shown["note"] or "There is no earlier request of this conversation to compare."
        return _cache_report(flow, None, sentence)
    return _cache_report(
        flow,
        finding.bad,
        finding.sentence,
        cost=finding.cost,
        by=finding.by,
        path=finding.link.path,
        previous_flow_id=finding.previous.pk,
    )


def _cache_report(
    flow: Flow,
    broken: bool | None,
    sentence: str,
    *,
    cost: str = "",
    by: str = "",
    path: str = "",
    previous_flow_id: str = "",
) -> CacheReport:
    return CacheReport(
        flow_id=flow.pk,
        broken=broken,
        sentence=sentence,
        cost=cost,
        by=by,
        path=path,
        previous_flow_id=previous_flow_id,
        cache_read_tokens=flow.cache_read_tokens,
        cache_write_tokens=flow.cache_write_tokens,
    )


def context_breakdown(flow_id: FlowId) -> ContextReport:
    """Say what fills a request's context window: system prompt, tools, messages, tool results."""
    detail = _detail(flow_id)
    shown = context_tab(detail, {})
    size = shown["context"] or ContextSize([], [])
    parts = [
        ContextPart(each.label, each.size_bytes, each.count, each.share, each.tokens)
        for each in size.slices
        if each.count
    ]
    tools = [each._asdict() for each in size.tools]
    largest = [each._asdict() for each in size.largest]
    kept = bounded_list(tools, len(tools))
    return ContextReport(
        flow_id=detail.flow.pk,
        parts=parts,
        tools=kept.values,
        largest=bounded_list(largest, len(largest)).values,
        total_bytes=size.total_bytes,
        input_tokens=detail.flow.input_tokens,
        window_tokens=shown.get("window"),
        window_share=shown.get("window_share"),
        note=shown["note"] or kept.note,
    )


def translation_losses(
    flow_id: Annotated[
        str, Field(description="One flow; empty: the newest flows that lost something.")
    ] = "",
    limit: Limit = _MAX_LOSSY_FLOWS,
) -> LossReport:
    """List what translation between wire formats could not express, with path and reason."""
    flows = Flow.objects.filter(is_lossy=True).order_by("-started_at", "-id")
    if flow_id:
        flows = Flow.objects.filter(pk=the_id(flow_id))
    found = [
        {
            "flow_id": flow.pk,
            "client_format": flow.client_format,
            "provider_format": flow.provider_format,
            "losses": flow.losses,
        }
        for flow in flows.defer("search_text")[:limit]
    ]
    return LossReport(*bounded_list(found, len(found)))


def _detail(reference: str) -> FlowDetail:
    detail = flow_detail(the_id(reference))
    if detail is None:
        raise FlowSetError("There is no such flow; it may have been cleared.")
    return detail
