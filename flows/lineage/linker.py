"""Linking of ended flows with the earlier calls of their session, in the database.

Works on flows whose column `indexed` is unset, in small transactions, off the request path: it
fills old records after an upgrade in the same way, and goes on where it stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import chain
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from flows.bodies.flow_groups import made_of
from flows.bodies.store import load_bodies
from flows.bytes.database_text import storable_text
from flows.flow_link import guessed_id
from flows.lineage.cache_break import Break, find_break
from flows.lineage.first_difference import (
    CLIENT,
    Excerpts,
    author_of,
    cached_tokens,
    excerpts,
    is_rewind,
    lost_behind_rewind,
    lost_tokens,
    lost_usd,
)
from flows.lineage.message_memo import MessageMemo
from flows.lineage.predecessor import Predecessor, predecessor, repeats_response
from flows.lineage.prompt_call import PromptCall, note_response, prompt_call
from flows.lineage.prompt_parts import parts_of
from flows.lineage.scope import SCOPE_CALLS, RecentCalls, Scope, scope_of
from flows.lineage.stored_flow import ReadFlow, read_alone, stored_flow
from flows.models import Flow, FlowLink, FlowParts
from flows.reading.decoded import format_of
from flows.upsert import new_row, upsert
from providers.prices.own_prices import OwnPrices

BATCH_FLOWS: Final = 50
SESSION_REACH: Final = timedelta(days=7)
GUESSED_REACH: Final = timedelta(hours=6)
_SESSION_REACH_S: Final = SESSION_REACH.total_seconds()
_GUESSED_REACH_S: Final = GUESSED_REACH.total_seconds()
RUN_GAP: Final = timedelta(minutes=30)
RECENT: Final = timedelta(hours=1)
_TEXT_CHARS: Final = {"path": 300, "author": 200}
# Of sixty columns: making the others' values took as long as comparing small prompts.
_COLUMNS: Final = (
    "state",
    "started_at",
    "host",
    "path",
    "client_url",
    "forwarded_url",
    "user_agent",
    "client_format",
    "provider_format",
    "action",
    "provider",
    "provider_type",
    "requested_model",
    "sent_model",
    "session_id",
    "run_label",
    "status_code",
    "is_websocket",
    "error",
    "request_size_bytes",
    "response_size_bytes",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "indexed",
)
_OTHER_OF_SESSION: Final = "SELECT 1 FROM flows_flow WHERE session_id = %s AND id <> %s LIMIT 1"
logger = logging.getLogger(__name__)


class Prompt(NamedTuple):
    """A flow with its bodies, as one end of a comparison."""

    flow: Flow
    read: ReadFlow


_ALONE: Final[Mapping[str, Prompt]] = MappingProxyType({})


class Linker:
    """Maker of links. Not thread-safe; keeps the recent calls of each scope in memory."""

    def __init__(self) -> None:
        self._recent = RecentCalls()
        self._prices = OwnPrices()
        self._messages = MessageMemo()

    def link_pending(self, limit: int = BATCH_FLOWS) -> int:
        """Link some flows that are not linked yet; return how many were looked at."""
        return self.link(next_pending(limit))

    def link(self, flows: Sequence[Flow]) -> int:
        """Link flows, the oldest first; return their number."""
        comparable = [flow for flow in flows if is_comparable(flow)]
        links = list(filter(None, made_of(comparable, self._link_group, _not_linked)))
        ids = [flow.pk for flow in flows]
        with transaction.atomic():
            # Retention may have deleted some meanwhile.
            stored = set(Flow.objects.filter(pk__in=ids).values_list("pk", flat=True))
            FlowLink.objects.filter(pk__in=ids).delete()
            upsert([link for link in links if link.flow_id in stored], ("flow_id",))
            Flow.objects.filter(pk__in=stored).update(indexed=True)
        return len(ids)

    def _link_group(self, group: Sequence[Flow]) -> list[FlowLink | None]:
        stored = [stored_flow(flow) for flow in group]
        bodies = load_bodies(chain.from_iterable(each.digests for each in stored))
        return [self.link_of(Prompt(each.flow, ReadFlow(each, bodies))) for each in stored]

    def link_of(self, prompt: Prompt, unwritten: Mapping[str, Prompt] = _ALONE) -> FlowLink | None:
        """Return the link of the newest flow of its scope; None if it is no prompt.

        Reads the database where it has to: for the first flow of a scope since the start, and for
        the earlier prompt where they differ. `unwritten` has flows that are written together with
        this one, by id: the database does not know them yet.
        """
        flow, read = prompt
        call = _call(flow, read, self._messages)
        if call is None:
            return None
        scope = scope_of(flow)
        earlier = [each for each in self._earlier(scope, flow) if _is_before(each, call)]
        is_guessed = not scope.session
        found = predecessor(call, earlier, read.request, is_guessed=is_guessed)
        self._place(call, flow, scope, found, earlier)
        self._recent.add(scope, call)
        values = {
            "flow_id": flow.pk,
            "session": call.session,
            "guessed": call.guessed,
            "thread": call.thread,
            "parts": call.count,
        }
        link = new_row(FlowLink, values)
        if found is not None:
            self._compare(link, prompt, call, found, unwritten)
        return link

    # --- the scope

    def _earlier(self, scope: Scope, flow: Flow) -> list[PromptCall]:
        """Return the recent calls of a scope; after a start they are read from the database."""
        known = self._recent.of(scope)
        if known is not None:
            return known
        calls: list[PromptCall] = []
        openings: dict[str, frozenset[bytes]] = {}
        stored = [] if _is_first_of_session(scope, flow) else _flows_of_scope(scope, flow)
        for earlier in reversed(stored):
            call = _call(earlier, read_alone(earlier))
            link = getattr(earlier, "link", None)
            if call is None or link is None:
                continue
            call.session, call.thread, call.guessed = link.session, link.thread, link.guessed
            # Of a longer thread the first request is not among them; a later one has more replies.
            call.opening = openings.setdefault(link.thread, call.replies)
            calls.append(call)
        self._recent.put(scope, calls)
        return calls

    def _place(
        self,
        call: PromptCall,
        flow: Flow,
        scope: Scope,
        found: Predecessor | None,
        earlier: Sequence[PromptCall],
    ) -> None:
        """Set the thread and the session of a call."""
        call.guessed = not scope.session
        if found is not None:
            call.thread = found.call.thread
            call.opening = found.call.opening
            call.session = scope.session or found.call.session
            return
        call.thread = flow.pk
        call.opening = call.replies
        call.session = scope.session or guessed_id(flow.pk)
        # Of a captured command all threads are one session, unless it rested for long.
        if call.guessed and scope.run and earlier:
            last = earlier[-1]
            if call.at - last.at <= RUN_GAP.total_seconds():
                call.session = last.session

    # --- the difference

    def _compare(
        self,
        link: FlowLink,
        prompt: Prompt,
        call: PromptCall,
        found: Predecessor,
        unwritten: Mapping[str, Prompt],
    ) -> None:
        link.previous = found.call.id
        link.relation = found.kinship
        is_answered = call.is_cached and found.call.is_cached
        if not is_answered:
            # Nothing was cached, so nothing is lost.
            link.relation = "repeated" if found.kinship == "repeated" else "continued"
            return
        if _keeps_all_of(call, found):
            link.lost_tokens = lost_tokens(prompt.flow, found.call.cached_tokens)
            return
        before = unwritten.get(found.call.id) or _stored_prompt(found.call.id)
        if before is None:
            return
        broken = find_break(prompt.read.forwarded, before.read.forwarded)
        if found.is_other_model:
            broken = Break("model", "model", 0, prompt_bytes(before.read.forwarded))
            link.relation = FlowLink.Relation.SWITCHED
        link.lost_tokens = lost_tokens(prompt.flow, cached_tokens(before.flow))
        if broken is None:
            return
        if link.relation in ("continued", "repeated"):
            link.relation = FlowLink.Relation.BROKEN
        around = self._describe(link, prompt, before, broken)
        if _is_rewind(link, found, broken, around, prompt.read.request):
            link.relation = FlowLink.Relation.REWOUND
            available = cached_tokens(before.flow)
            link.lost_tokens = lost_behind_rewind(prompt.flow, available, broken)
        link.lost_usd = lost_usd(prompt.flow, link.lost_tokens, self._prices())

    def _describe(self, link: FlowLink, prompt: Prompt, before: Prompt, broken: Break) -> Excerpts:
        flow, read = prompt
        link.path = broken.path
        link.kind = broken.kind
        link.kept_bytes = broken.kept_bytes
        link.total_bytes = broken.total_bytes
        around = Excerpts("", "")
        if broken.kind == "model":
            # Google's requests name the model in their address alone.
            link.before, link.after = _model(before.flow), _model(flow)
            asked_for_other = flow.requested_model != before.flow.requested_model
            link.author = CLIENT if asked_for_other else "the proxy's route"
        else:
            link.author = author_of(broken, read.sent, before.read.sent, read.hooks, flow.action)
            around = excerpts(broken, read.forwarded, before.read.forwarded)
            link.before, link.after = storable_text(around.before), storable_text(around.after)
        for name, chars in _TEXT_CHARS.items():
            setattr(link, name, storable_text(getattr(link, name))[:chars])
        return around


def _is_rewind(
    link: FlowLink, found: Predecessor, broken: Break, around: Excerpts, body: bytes
) -> bool:
    """Return whether the client went on from an earlier message with other words."""
    if link.relation != FlowLink.Relation.BROKEN or link.author != CLIENT:
        return False
    # A summary of what is left out is no other way: it holds what the model said.
    if repeats_response(found.call, body):
        return False
    return is_rewind(broken, around, was_answered=not found.call.is_cut)


def _stored_prompt(flow_id: str) -> Prompt | None:
    """Return a flow of the database; None for one that was deleted meanwhile."""
    flow = Flow.objects.select_related("parts").filter(pk=flow_id).first()
    return Prompt(flow, read_alone(flow)) if flow else None


def _keeps_all_of(call: PromptCall, found: Predecessor) -> bool:
    """Return whether a prompt begins with all of the earlier one, and goes to the same model.

    Then `find_break` finds none, and the earlier prompt need not be read.
    """
    is_same_model = call.named_model == found.call.named_model and not found.is_other_model
    return is_same_model and call.digests.startswith(found.call.digests)


def prompt_bytes(body: Any) -> int:
    """Return the size of a prompt."""
    return sum(part.size_bytes for part in parts_of(body))


def _not_linked(flow: Flow) -> None:
    logger.exception("Flow %s could not be linked", flow.pk)


def is_comparable(flow: Flow) -> bool:
    """Return whether a flow is compared with earlier calls."""
    # Turns of a websocket are compared where they are shown.
    return not flow.is_websocket and is_model_call(flow)


def is_model_call(flow: Flow) -> bool:
    """Return whether a flow's request is a conversation with a model."""
    if flow.action in ("local", "refused"):
        return False
    return format_of(flow.client_format, flow.client_url or flow.path) is not None


def next_pending(limit: int) -> list[Flow]:
    """Return ended flows that are not linked, the oldest first; those of the last hour before all.

    An upgraded record has many, and new flows should not wait for them.
    """
    waiting = pending().order_by("started_at")
    recent = waiting.filter(started_at__gte=timezone.now() - RECENT)
    return list(_with_parts(recent)[:limit]) or list(_with_parts(waiting)[:limit])


def pending() -> QuerySet[Flow]:
    """Return the ended flows that are not linked yet."""
    return Flow.objects.filter(indexed__isnull=True).exclude(state=Flow.State.LIVE)


def _with_parts(flows: QuerySet[Flow]) -> QuerySet[Flow]:
    parts = (f"parts__{field.attname}" for field in FlowParts._meta.concrete_fields)
    return flows.select_related("parts").only(*_COLUMNS, *parts)


def _is_first_of_session(scope: Scope, flow: Flow) -> bool:
    """Return whether no other flow has the session id: so it is for the first call of each session.

    Making the query for those of the scope takes as long as writing five small flows.
    """
    if not scope.session:
        return False
    with connection.cursor() as cursor:
        cursor.execute(_OTHER_OF_SESSION, [scope.session, flow.pk])
        return cursor.fetchone() is None


def _flows_of_scope(scope: Scope, flow: Flow) -> list[Flow]:
    """Return the newest linked flows of a scope before this one, the newest first."""
    reach = SESSION_REACH if scope.session else GUESSED_REACH
    flows = Flow.objects.filter(
        session_id=scope.session,
        run_label=scope.run,
        started_at__lte=flow.started_at,
        started_at__gte=flow.started_at - reach,
        link__isnull=False,
    ).exclude(pk=flow.pk)
    flows = flows.filter(provider=flow.provider) if flow.provider else flows.filter(host=flow.host)
    newest = flows.select_related("parts", "link").defer("search_text")
    found = newest.order_by("-started_at", "-id")[:SCOPE_CALLS]
    return [each for each in found if scope_of(each) == scope]


def _is_before(earlier: PromptCall, call: PromptCall) -> bool:
    reach_s = _GUESSED_REACH_S if earlier.guessed else _SESSION_REACH_S
    return earlier.id != call.id and 0 <= call.at - earlier.at <= reach_s


def _is_cached(flow: Flow) -> bool:
    """Return whether the provider took the request: a cut stream counts, a refusal does not."""
    return flow.status_code is not None and flow.status_code < 400


def _model(flow: Flow) -> str:
    return flow.sent_model or flow.requested_model


def _call(flow: Flow, read: ReadFlow, memo: MessageMemo | None = None) -> PromptCall | None:
    repeated = read.repeated = memo.repeated(read.request) if memo is not None else None
    call = prompt_call(
        flow.pk,
        flow.started_at.timestamp(),
        _model(flow),
        read.forwarded if repeated is None else repeated.body,
        is_cached=_is_cached(flow),
        data=read.request,
        memo=memo,
        repeated=repeated,
    )
    if call is None:
        return None
    call.is_cut = flow.state == Flow.State.ERROR
    call.cached_tokens = cached_tokens(flow)
    if call.is_cached:
        note_response(call, read.response)
    return call
