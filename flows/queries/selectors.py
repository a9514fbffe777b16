"""Reads of flows for the console: pages of the list, one flow with its sides, bodies.

A list never loads a body.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, NamedTuple

import orjson
from django.db.models import Exists, OuterRef, QuerySet

from flows.bodies.store import load_bodies as load_bodies
from flows.models import Flow, FlowLink, FlowParts, WebSocketMessage
from flows.queries.cursor import Cursor, newer_than, older_than
from flows.record import AttemptRecord
from flows.sides import FlowSide, HookTrace

PAGE_ROWS: Final = 60
FACET_ROWS: Final = 500
TELLING_MESSAGES: Final = 100
SESSION_REACH: Final = timedelta(days=7)
CONVERSATION_REACH: Final = timedelta(hours=6)
"""Largest distance of the previous request, so that the search stays cheap; shorter without a
session.
"""
_ROW_FIELDS: Final = (
    "id",
    "state",
    "source",
    "started_at",
    "method",
    "host",
    "path",
    "action",
    "provider",
    "rule",
    "route",
    "requested_model",
    "sent_model",
    "session_id",
    "credential_injected",
    "status_code",
    "is_stream",
    "is_websocket",
    "run_label",
    "run_command",
    "client_format",
    "error",
    "hooks_changed",
    "event_count",
    "user_agent",
    "first_byte_ms",
    "first_event_ms",
    "duration_ms",
    "request_size_bytes",
    "response_size_bytes",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cost_usd",
    "bodies_dropped",
    "pinned",
    "asked",
    "tool_result",
    "said",
    "provider_format",
    "losses",
)
_LINK_FIELDS: Final = (
    "link__flow_id",
    "link__session",
    "link__kind",
    "link__relation",
    "link__path",
    "link__author",
    "link__lost_tokens",
)


@dataclass(frozen=True, slots=True)
class Facets:
    """Values of the newest flows, to choose a filter from; each list is sorted."""

    providers: list[str]
    rules: list[str]
    models: list[str]
    hooks: list[str]
    ran: list[str]
    runs: list[str]


@dataclass(frozen=True, slots=True)
class FlowDetail:
    """One flow with its sides by name, its hook traces and its attempts in order."""

    flow: Flow
    sides: dict[str, FlowSide]
    traces: list[HookTrace]
    attempts: list[AttemptRecord]


@dataclass(frozen=True, slots=True)
class Previous:
    """The request before another one of the same conversation, with some of its sides by name."""

    flow: Flow
    sides: dict[str, FlowSide]


class Neighbours(NamedTuple):
    """Ids of the next newer and the next older flow; empty at the ends of the list."""

    newer: str
    older: str


@dataclass(slots=True)
class _FacetValues:
    providers: set[str] = field(default_factory=set)
    rules: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)
    hooks: set[str] = field(default_factory=set)
    ran: set[str] = field(default_factory=set)
    runs: set[str] = field(default_factory=set)


def rows(queryset: QuerySet[Flow] | None = None) -> QuerySet[Flow]:
    """Return flows with only the columns that a row shows, newest first."""
    base = Flow.objects.all() if queryset is None else queryset
    fields = (*_ROW_FIELDS, *_LINK_FIELDS)
    return base.select_related("link").only(*fields).order_by("-started_at", "-id")


def facets() -> Facets:
    """Return the values to filter by, from the newest flows only: no scan over the table."""
    newest = Flow.objects.order_by("-started_at", "-id").values_list(
        "provider",
        "rule",
        "requested_model",
        "sent_model",
        "hooks_changed",
        "run_label",
        "hooks_ran",
    )
    values = _FacetValues()
    for provider, rule, requested, sent, changed, run, ran in newest[:FACET_ROWS]:
        values.providers.add(provider)
        values.rules.add(rule)
        values.models.update((requested, sent))
        values.hooks.update(changed)
        values.runs.add(run)
        values.ran.add(ran or "")
    return Facets(
        providers=_sorted(values.providers),
        rules=_sorted(values.rules),
        models=_sorted(values.models),
        hooks=_sorted(values.hooks),
        ran=_names_in(values.ran),
        runs=_sorted(values.runs),
    )


def _sorted(values: Iterable[str]) -> list[str]:
    return sorted(value for value in values if value)


def _names_in(texts: Iterable[str]) -> list[str]:
    # Most flows ran the same hooks, so few different texts are parsed.
    names: set[str] = set()
    for text in _sorted(texts):
        names.update(orjson.loads(text))
    return sorted(names)


def flow_detail(flow_id: str) -> FlowDetail | None:
    """Return a flow, its sides and traces without bodies; None when there is no such flow."""
    flow = find_flow(flow_id)
    if flow is None:
        return None
    parts = _parts(flow_id)
    return FlowDetail(flow, parts.by_side(), parts.traces(), parts.attempts())


def sides_of(flow_id: str) -> dict[str, FlowSide]:
    """Return the sides of a flow by name."""
    return _parts(flow_id, without="steps").by_side()


def traces_of(flow_id: str) -> list[HookTrace]:
    """Return the traces of a flow's hooks in order."""
    return _parts(flow_id, without="sides").traces()


def _parts(flow_id: str, *, without: str = "") -> FlowParts:
    if "\0" in flow_id:
        return FlowParts()
    parts = FlowParts.objects.filter(pk=flow_id)
    if without:
        parts = parts.defer(without)
    return parts.first() or FlowParts()


def find_flow(flow_id: str) -> Flow | None:
    """Return the row alone."""
    if "\0" in flow_id:
        return None
    return Flow.objects.filter(pk=flow_id).first()


def neighbours(flow: Flow) -> Neighbours:
    """Return the ids of the next newer and the next older flow. Two queries."""
    position = Cursor(flow.started_at, flow.pk)
    ids = Flow.objects.values_list("pk", flat=True)
    newer = newer_than(ids, position).order_by("started_at", "id").first()
    older = older_than(ids, position).order_by("-started_at", "-id").first()
    return Neighbours(newer or "", older or "")


def previous_flow(flow: Flow, parts: Sequence[str]) -> Previous | None:
    """Return the earlier flow that this one continues, with the sides named in `parts`.

    The recorder's link decides (see `flows.lineage`). A flow without one, such as a running one,
    is compared with the newest of its session and conversation, from its own client and provider.
    """
    if flow.indexed:
        return _linked(flow, parts)
    if not flow.session_id and not flow.conversation_id:
        return None
    asked_path = flow.path.partition("?")[0]
    reach = SESSION_REACH if flow.session_id else CONVERSATION_REACH
    earlier = Flow.objects.filter(
        session_id=flow.session_id,
        conversation_id=flow.conversation_id,
        requested_model=flow.requested_model,
        started_at__lt=flow.started_at,
        started_at__gte=flow.started_at - reach,
        path__startswith=asked_path,
        provider=flow.provider,
        run_label=flow.run_label,
        user_agent=flow.user_agent,
    ).exclude(pk=flow.pk)
    # Sides are JSON text; a flow that was refused has no forwarded side to compare with.
    recorded = FlowParts.objects.filter(flow=OuterRef("pk"), sides__contains=f'"side":"{parts[0]}"')
    newest = earlier.filter(Exists(recorded)).order_by("-started_at").values("pk")[:1]
    parts_of_newest = FlowParts.objects.filter(pk__in=newest)
    found = parts_of_newest.select_related("flow").defer("steps").first()
    # The database compared the start only: /v1/messages is no neighbour of /v1/messages/count.
    if found is None or found.flow.path.partition("?")[0] != asked_path:
        return None
    return _previous(found, parts)


def _linked(flow: Flow, parts: Sequence[str]) -> Previous | None:
    previous = FlowLink.objects.filter(pk=flow.pk).exclude(previous="").values("previous")
    found = FlowParts.objects.filter(pk__in=previous).select_related("flow").defer("steps").first()
    return _previous(found, parts) if found else None


def _previous(found: FlowParts, parts: Sequence[str]) -> Previous:
    sides = {}
    for name, side in found.by_side().items():
        if name in parts:
            sides[name] = side
    return Previous(found.flow, sides)


def messages(flow_id: str, *, after_seq: int = -1, limit: int = 200) -> list[WebSocketMessage]:
    """Return a page of a websocket's messages in order."""
    following = WebSocketMessage.objects.filter(flow_id=flow_id, seq__gt=after_seq)
    return list(following.order_by("seq")[:limit])


def telling_messages(flow_id: str) -> list[WebSocketMessage]:
    """Return the messages of a websocket that matter for its conversation, in order.

    These are the client's newest, and the provider's newest and largest: the many small ones are
    parts of them, but a failure is small.
    """
    all_messages = WebSocketMessage.objects.filter(flow_id=flow_id)
    from_client = all_messages.filter(from_client=True).order_by("-seq")
    from_provider = all_messages.filter(from_client=False, is_text=True)
    newest = from_provider.order_by("-seq")[:TELLING_MESSAGES]
    largest = from_provider.order_by("-size_bytes", "-seq")[:TELLING_MESSAGES]
    chosen = {m.seq: m for m in (*from_client[:TELLING_MESSAGES], *newest, *largest)}
    return sorted(chosen.values(), key=lambda message: message.seq)
