"""REST: what the pages work out of the record: usage, sessions, changes, context, websocket
messages.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound, ParseError, PermissionDenied
from rest_framework.request import Request
from rest_framework.views import APIView

from flows.console.context_tab import context_tab
from flows.console.tabs import MESSAGES_PER_PAGE, changes_tab
from flows.queries import selectors
from flows.queries.selectors import FlowDetail
from flows.queries.sessions import session
from flows.queries.summary import flow_summary
from flows.queries.usage_summary import DEFAULT_DAYS, PERIODS, usage_summary
from providers.web.rest import Conflict

_GONE = "There is no such flow; it may have been cleared."


class _Insight(APIView):
    """For whoever may look at flows."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not request.user.has_perm("flows.view_flow"):
            raise PermissionDenied


class UsageView(_Insight):
    """Tokens and costs of the last days (UTC), added up: in all, by day, by model, and of the
    largest sessions.
    """

    @extend_schema(
        parameters=[OpenApiParameter("days", OpenApiTypes.INT, enum=PERIODS, default=DEFAULT_DAYS)],
        responses={200: OpenApiTypes.OBJECT},
    )
    def get(self, request: Request) -> HttpResponse:
        """Sums; null is not known, and `unmetered` and `unpriced` count the requests behind
        that.
        """
        wanted = request.query_params.get("days", str(DEFAULT_DAYS))
        days = next((period for period in PERIODS if str(period) == wanted), None)
        if days is None:
            raise ParseError({"days": [f"Choose one of {', '.join(map(str, PERIODS))}."]})
        found = usage_summary(days, "cost")
        names = ("days", "first", "last", "totals", "models", "sessions", "by_day")
        return _answer({name: getattr(found, name) for name in names})


class SessionView(_Insight):
    """One session: its requests in order, the conversations in it, totals."""

    @extend_schema(responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request, session_id: str) -> HttpResponse:
        """The newest of its requests, oldest first; `left_out` counts the ones before."""
        found = None if "\0" in session_id else session(session_id)
        if found is None:
            raise NotFound("No request of this session is stored.")
        rows = [
            {
                "flow": flow_summary(row.flow),
                "conversation": row.thread.letter,
                "since_ms": row.since_ms,
                "cache_share": row.cache_share,
                "cache_lost": row.cache_lost,
            }
            for row in found.rows
        ]
        return _answer(
            {
                "id": found.id,
                "totals": found.totals,
                "cache_share": found.cache_share,
                "conversations": [asdict(thread) for thread in found.threads],
                "requests": rows,
                "left_out": found.left_out,
            }
        )


class ChangesView(_Insight):
    """What changed between the client's request and the one that left; with `hook`, what that step
    changed.
    """

    @extend_schema(
        parameters=[OpenApiParameter("hook", OpenApiTypes.INT, description="The step's `seq`.")],
        responses={200: OpenApiTypes.OBJECT},
    )
    def get(self, request: Request, flow_id: str) -> HttpResponse:
        """Headers by line, JSON bodies by place, everything else by line."""
        wanted = request.query_params.get("hook", "")
        detail = _detail(flow_id)
        found = changes_tab(detail, {"hook": wanted})
        if wanted and found["step"] is None:
            raise NotFound("There is no such step.")
        change = found["change"]
        return _answer({"losses": detail.flow.losses, "change": asdict(change) if change else None})


class ContextView(_Insight):
    """What fills the context window of a request, and what became of the prompt cache."""

    @extend_schema(responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request, flow_id: str) -> HttpResponse:
        """Sizes are bytes; `context` is null for what is no conversation with a model, and `note`
        says why.
        """
        found = context_tab(_detail(flow_id), {})
        context, cache = found["context"], found["cache"]
        return _answer(
            {
                "context": asdict(context) if context else None,
                "note": found["note"],
                "window_tokens": found.get("window"),
                "cache": (
                    cache
                    and {
                        "broken": cache.bad,
                        "sentence": cache.sentence,
                        "cost": cache.cost,
                        "by": cache.by,
                        "previous": cache.previous.pk,
                    }
                ),
            }
        )


class MessagesView(_Insight):
    """The messages of a websocket in order."""

    @extend_schema(
        parameters=[OpenApiParameter("after", OpenApiTypes.INT, description="From “next”.")],
        responses={200: OpenApiTypes.OBJECT},
    )
    def get(self, request: Request, flow_id: str) -> HttpResponse:
        """A page of messages; `body` is where each one's bytes are."""
        after = request.query_params.get("after", "-1")
        if after != "-1" and not (after.isascii() and after.isdigit() and len(after) < 10):
            raise ParseError(
                {"after": ["This is no place; take it from the “next” of an earlier answer."]}
            )
        flow = _detail(flow_id).flow
        found = selectors.messages(flow.pk, after_seq=int(after), limit=MESSAGES_PER_PAGE + 1)
        shown = found[:MESSAGES_PER_PAGE]
        fields = ("seq", "at_ms", "from_client", "is_text", "size_bytes")
        rows = [
            {
                **{name: getattr(one, name) for name in fields},
                "body": f"/flows/{flow.pk}/body/message-{one.seq}",
            }
            for one in shown
        ]
        return _answer(
            {"next": shown[-1].seq if len(found) > MESSAGES_PER_PAGE else None, "results": rows}
        )


def _detail(flow_id: str) -> FlowDetail:
    detail = selectors.flow_detail(flow_id)
    if detail is None:
        raise NotFound(_GONE)
    return detail


def _answer(value: Any) -> HttpResponse:
    try:
        # Bytes that are no UTF-8 become question marks: JSON has no way to write them.
        text = json.dumps(value, ensure_ascii=False, default=_plain).encode("utf-8", "replace")
    except RecursionError:
        raise Conflict("This flow's body is nested too deeply for an answer in JSON.") from None
    return HttpResponse(text, content_type="application/json")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)
