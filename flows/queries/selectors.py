"""Reads of flows for the console: pages of the list, everything about one flow, bodies.

Never a body in a list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson
from django.db.models import Exists, OuterRef, Q, QuerySet

from flows.bodies.store import load_bodies as load_bodies
from flows.models import Flow, FlowParts, WebSocketMessage
from flows.sides import FlowSide, HookTrace

PAGE_ROWS: Final = 60
FACET_ROWS: Final = 500
TELLING_MESSAGES: Final = 100
SESSION_REACH: Final = timedelta(days=7)
CONVERSATION_REACH: Final = timedelta(hours=6)
"""How far back the previous request may lie, so that looking for it stays cheap; shorter without a
session.
"""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ROW_FIELDS: Final = (
    "id", "state", "source", "started_at", "method", "host", "path", "action", "provider", "rule",
    "route",
    "requested_model", "sent_model", "session_id", "credential_injected", "status_code",
    "is_stream", "is_websocket",
    "run_label", "run_command", "client_format",
    "error", "hooks_changed", "first_byte_ms", "first_event_ms", "duration_ms",
    "request_size_bytes",
    "response_size_bytes", "input_tokens", "output_tokens", "cost_usd", "bodies_dropped",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FlowPage:
    """One page of the list, newest first.

    `older` is the cursor of the next page, empty on the last.
    """

    flows: list[Flow]
    older: str


@dataclass(frozen=True, slots=True)
class Facets:
    """Values seen in the newest flows, to choose a filter from."""

    providers: list[str]
    rules: list[str]
    models: list[str]
    hooks: list[str]
    ran: list[str]
    runs: list[str]


@dataclass(frozen=True, slots=True)
class FlowDetail:
    """One flow with its sides by name and its hook traces in order."""

    flow: Flow
    sides: dict[str, FlowSide]
    traces: list[HookTrace]


@dataclass(frozen=True, slots=True)
class Previous:
    """The request before another one of the same session and conversation, with some of its sides
    by name.
    """

    flow: Flow
    sides: dict[str, FlowSide]


def rows(queryset: QuerySet[Flow] | None = None) -> QuerySet[Flow]:
    """Flows with only the columns that a row shows, newest first."""
    base = Flow.objects.all() if queryset is None else queryset
    return base.only(*_ROW_FIELDS).order_by("-started_at", "-id")


def flow_page(queryset: QuerySet[Flow], cursor: str = "") -> FlowPage:
    """A page by keyset: its cost does not grow with the number of flows before it."""
    found = rows(queryset)
    place = parse_cursor(cursor)
    if place is not None:
        started_at, flow_id = place
        # The first condition alone lets the index find the start; the second breaks ties.
        found = found.filter(started_at__lte=started_at).filter(
            Q(started_at__lt=started_at) | Q(id__lt=flow_id)
        )
    flows = list(found[: PAGE_ROWS + 1])
    more = len(flows) > PAGE_ROWS
    return FlowPage(flows[:PAGE_ROWS], make_cursor(flows[PAGE_ROWS - 1]) if more else "")


def make_cursor(flow: Flow) -> str:
    """The place of a flow in the list: microseconds since the epoch and its id."""
    return f"{(flow.started_at - _EPOCH) // timedelta(microseconds=1)}_{flow.id}"


def parse_cursor(cursor: str) -> tuple[datetime, str] | None:
    """The inverse; None for anything that is not a cursor."""
    micros, _, flow_id = cursor.partition("_")
    if (
        not (micros.isascii() and micros.isdigit() and len(micros) <= 16 and flow_id)
        or "\0" in cursor
    ):
        return None
    return _EPOCH + timedelta(microseconds=int(micros)), flow_id


def facets() -> Facets:
    """Values to filter by, from the newest flows only: no scan over the table."""
    flows = Flow.objects.order_by("-started_at", "-id")
    columns = (
        "provider",
        "rule",
        "requested_model",
        "sent_model",
        "hooks_changed",
        "run_label",
        "hooks_ran",
    )
    newest = flows.values_list(*columns)[:FACET_ROWS]
    providers: set[str] = set()
    rules: set[str] = set()
    models: set[str] = set()
    hooks: set[str] = set()
    ran: set[str] = set()
    runs: set[str] = set()
    for provider, rule, requested, sent, changed, run, ran_hooks in newest:
        ran.add(ran_hooks)
        runs.add(run)
        providers.add(provider)
        rules.add(rule)
        models.update((requested, sent))
        hooks.update(changed)
    found = (providers, rules, models, hooks, runs)
    providers_, rules_, models_, hooks_, runs_ = (
        sorted(value for value in values if value) for values in found
    )
    names = {name for text in ran if text for name in orjson.loads(text)}
    return Facets(providers_, rules_, models_, hooks_, sorted(names), runs_)


def flow_detail(flow_id: str) -> FlowDetail | None:
    """A flow, its sides and traces without bodies; None when there is no such flow."""
    flow = find_flow(flow_id)
    if flow is None:
        return None
    parts = _parts(flow_id)
    return FlowDetail(flow, parts.by_side(), parts.traces())


def sides_of(flow_id: str) -> dict[str, FlowSide]:
    """The sides of a flow by name, without anything else."""
    return _parts(flow_id, without="steps").by_side()


def traces_of(flow_id: str) -> list[HookTrace]:
    """What each hook did to a flow, without anything else."""
    return _parts(flow_id, without="sides").traces()


def _parts(flow_id: str, *, without: str = "") -> FlowParts:
    found = FlowParts.objects.filter(pk=flow_id).defer(*[without] if without else ())
    return (None if "\0" in flow_id else found.first()) or FlowParts()


def find_flow(flow_id: str) -> Flow | None:
    """The row alone."""
    return None if "\0" in flow_id else Flow.objects.filter(pk=flow_id).first()


def neighbours(flow: Flow) -> tuple[str, str]:
    """Ids of the next newer and the next older flow; empty at the ends."""
    at, pk = flow.started_at, flow.pk
    newer = Flow.objects.filter(started_at__gte=at).filter(Q(started_at__gt=at) | Q(id__gt=pk))
    older = Flow.objects.filter(started_at__lte=at).filter(Q(started_at__lt=at) | Q(id__lt=pk))
    newer_id = newer.order_by("started_at", "id").values_list("id", flat=True).first()
    older_id = older.order_by("-started_at", "-id").values_list("id", flat=True).first()
    return newer_id or "", older_id or ""


def previous_flow(flow: Flow, parts: Sequence[str]) -> Previous | None:
    """The newest earlier flow of the same session and the same conversation in it, with the sides
    named in `parts`.

    Without a session, the conversation alone decides, and there must be one. One query.
    """
    if not flow.session_id and not flow.conversation_id:
        return None
    asked = flow.path.partition("?")[0]
    earlier = Flow.objects.filter(
        session_id=flow.session_id,
        conversation_id=flow.conversation_id,
        requested_model=flow.requested_model,
        started_at__lt=flow.started_at,
        started_at__gte=flow.started_at
        - (SESSION_REACH if flow.session_id else CONVERSATION_REACH),
        path__startswith=asked,
    ).exclude(pk=flow.pk)
    recorded = FlowParts.objects.filter(flow=OuterRef("pk"), sides__contains=f'"side":"{parts[0]}"')
    ids = earlier.filter(Exists(recorded)).order_by("-started_at").values("pk")[:1]
    found = FlowParts.objects.filter(pk__in=ids).select_related("flow").defer("steps").first()
    if found is None or found.flow.path.partition("?")[0] != asked:
        return None
    return Previous(
        found.flow, {name: side for name, side in found.by_side().items() if name in parts}
    )


def messages(flow_id: str, *, after_seq: int = -1, limit: int = 200) -> list[WebSocketMessage]:
    """A page of a websocket's messages in order."""
    return list(
        WebSocketMessage.objects.filter(flow_id=flow_id, seq__gt=after_seq).order_by("seq")[:limit]
    )


def telling_messages(flow_id: str) -> list[WebSocketMessage]:
    """The messages of a websocket that matter for its conversation, in order: the client's newest,
    and the largest of the provider's, because the many small ones are pieces of those.
    """
    found = WebSocketMessage.objects.filter(flow_id=flow_id)
    asked = list(found.filter(from_client=True).order_by("-seq")[:TELLING_MESSAGES])
    answered = list(
        found.filter(from_client=False, is_text=True).order_by("-size_bytes", "-seq")[
            :TELLING_MESSAGES
        ]
    )
    return sorted([*asked, *answered], key=lambda message: message.seq)
