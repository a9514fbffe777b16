"""REST: figures that pages derive from the record: usage, changes, context, messages."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound, ParseError
from rest_framework.request import Request

from flows.console.context_tab import CacheFinding, context_tab
from flows.console.tabs import MESSAGES_PER_PAGE, changes_tab
from flows.figures.usage_summary import (
    DEFAULT_DAYS,
    PERIODS,
    usage_summary,
)
from flows.lineage.turn_rows import TurnRow, turns_of
from flows.models import WebSocketMessage
from flows.queries import selectors
from flows.queries.selectors import FlowDetail
from flows.rest.record_view import RecordView
from providers.web.rest import Conflict

_GONE = "There is no such flow; it may have been cleared."
_USAGE_FIELDS = ("days", "first", "last", "totals", "models", "sessions", "by_day")
_LINK_FIELDS = (
    "relation",
    "session",
    "guessed",
    "thread",
    "path",
    "kind",
    "before",
    "after",
    "kept_bytes",
    "total_bytes",
    "lost_tokens",
    "lost_usd",
)
_TURN_FIELDS = (
    "number",
    "model",
    "first_seq",
    "last_seq",
    "began_ms",
    "wait_ms",
    "duration_ms",
    "sent_bytes",
    "received_bytes",
    "events",
    "failure",
    "is_warm_up",
)
_TURN_COLUMNS = (
    "asked",
    "tool_result",
    "said",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "reasoning_tokens",
    "cost_usd",
)
_MESSAGE_FIELDS = ("seq", "at_ms", "from_client", "is_text", "size_bytes")


class UsageView(RecordView):
    """Tokens and costs of the last days (UTC): in all, by day, by model, by session."""

    @extend_schema(
        parameters=[OpenApiParameter("days", OpenApiTypes.INT, enum=PERIODS, default=DEFAULT_DAYS)],
        responses={200: OpenApiTypes.OBJECT},
    )
    def get(self, request: Request) -> HttpResponse:
        """Return sums; null is unknown.

        `unmetered` counts requests without token counts, `unpriced` those without a price.
        """
        usage = usage_summary(_days(request), "cost")
        fields = {name: getattr(usage, name) for name in _USAGE_FIELDS}
        return json_response(fields)


def _days(request: Request) -> int:
    wanted = request.query_params.get("days", str(DEFAULT_DAYS))
    for period in PERIODS:
        if str(period) == wanted:
            return period
    choices = ", ".join(str(period) for period in PERIODS)
    raise ParseError({"days": [f"Choose one of {choices}."]})


class ChangesView(RecordView):
    """Changes between the client's request and the forwarded one, or of one `hook`."""

    @extend_schema(
        parameters=[OpenApiParameter("hook", OpenApiTypes.INT, description="The step's `seq`.")],
        responses={200: OpenApiTypes.OBJECT},
    )
    def get(self, request: Request, flow_id: str) -> HttpResponse:
        """Compare headers by line, JSON bodies by address, everything else by line."""
        wanted = request.query_params.get("hook", "")
        detail = _detail(flow_id)
        found = changes_tab(detail, {"hook": wanted})
        if wanted and found["step"] is None:
            raise NotFound("There is no such step.")
        change = found["change"]
        shown = asdict(change) if change else None
        return json_response({"losses": detail.flow.losses, "change": shown})


class ContextView(RecordView):
    """Contents of a request's context window, and the use of the prompt cache."""

    @extend_schema(responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request, flow_id: str) -> HttpResponse:
        """Return sizes in bytes.

        `context` is null for a request that is not a conversation, and `note` gives the reason.
        """
        found = context_tab(_detail(flow_id), {})
        context = found["context"]
        return json_response(
            {
                "context": asdict(context) if context else None,
                "note": found["note"],
                "window_tokens": found.get("window"),
                "cache": _cache(found["cache"]),
            }
        )


def _cache(finding: CacheFinding | None) -> dict[str, Any] | None:
    if finding is None:
        return None
    return {
        "broken": finding.bad,
        "sentence": finding.sentence,
        "cost": finding.cost,
        "by": finding.by,
        "previous": finding.previous.pk,
        **{name: getattr(finding.link, name) for name in _LINK_FIELDS},
    }


class MessagesView(RecordView):
    """The messages of a websocket in order."""

    page_rows = MESSAGES_PER_PAGE

    @extend_schema(
        parameters=[OpenApiParameter("after", OpenApiTypes.INT, description="From “next”.")],
        responses={200: OpenApiTypes.OBJECT},
    )
    def get(self, request: Request, flow_id: str) -> HttpResponse:
        """Return a page of messages; `body` is the address of each one's bytes."""
        after = _after(request)
        flow = _detail(flow_id).flow
        # One message more than is shown tells if there is another page.
        found = selectors.messages(flow.pk, after_seq=after, limit=self.page_rows + 1)
        shown = found[: self.page_rows]
        next_after = None
        if len(found) > len(shown):
            next_after = shown[-1].seq
        results = [_message(message) for message in shown]
        return json_response({"next": next_after, "results": results})


class TurnsView(RecordView):
    """The turns of a websocket: each request to a model with its response."""

    @extend_schema(responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request, flow_id: str) -> HttpResponse:
        """Return the turns in order, timed and priced; null is unknown.

        `broken` is the first difference from the earlier prompt, null where the cache was kept.
        """
        del request
        return json_response({"results": [_turn(row) for row in turns_of(_detail(flow_id).flow)]})


def _turn(row: TurnRow) -> dict[str, Any]:
    turn = row.turn
    fields = {name: getattr(turn, name) for name in _TURN_FIELDS}
    columns = {name: getattr(row.flow, name) for name in _TURN_COLUMNS}
    broken = None
    if turn.broken is not None:
        around = asdict(turn.around) if turn.around else {}
        where = {"path": turn.broken.path, "kind": turn.broken.kind}
        lost = {"lost_tokens": row.lost_tokens, "lost_usd": row.lost_usd}
        broken = {**where, **around, **lost, "is_rewind": turn.is_rewind}
    return {**fields, **columns, "broken": broken}


def _after(request: Request) -> int:
    text = request.query_params.get("after", "-1")
    is_number = text.isascii() and text.isdigit() and len(text) < 10
    if text != "-1" and not is_number:
        message = "This is not a position; take it from the “next” of an earlier response."
        raise ParseError({"after": [message]})
    return int(text)


def _message(message: WebSocketMessage) -> dict[str, Any]:
    fields = {name: getattr(message, name) for name in _MESSAGE_FIELDS}
    return {**fields, "body": f"/flows/{message.flow_id}/body/message-{message.seq}"}


def _detail(flow_id: str) -> FlowDetail:
    detail = selectors.flow_detail(flow_id)
    if detail is None:
        raise NotFound(_GONE)
    return detail


def json_response(value: Any) -> HttpResponse:
    """Return a value as JSON; decimals become numbers, times ISO 8601."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=_plain)
    except RecursionError:
        raise Conflict("This flow's body is nested too deeply to be sent as JSON.") from None
    # Bytes that are not UTF-8 become question marks: JSON has no way to write them.
    encoded = text.encode("utf-8", "replace")
    return HttpResponse(encoded, content_type="application/json")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)
