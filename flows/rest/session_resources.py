"""REST: the list of sessions, and one session."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.http import HttpResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from flows.export.session_kinds import SESSION_KINDS
from flows.export.session_response import session_response
from flows.models import Flow
from flows.queries.sessions import Row, session
from flows.queries.summary import flow_summary
from flows.rest.insights import json_response
from flows.rest.keyset_pagination import cursor_of, next_url
from flows.rest.record_view import RecordView
from flows.sessions.session_list import SessionRow, session_page
from providers.audit.log import caller_of


class SessionListView(RecordView):
    """The sessions, the one with the newest request first."""

    @extend_schema(
        operation_id="sessions_list",
        parameters=[OpenApiParameter("cursor", OpenApiTypes.STR, description="From “next”.")],
        responses={200: OpenApiTypes.OBJECT},
    )
    def get(self, request: Request) -> HttpResponse:
        """Return a page of sessions: title, client, requests, times, tokens, cost.

        `title` is the first text that the user typed, "" where there is none. Of a `guessed`
        session the client sends no id: client, run, time and prefix decided.
        """
        cursor_of(request)
        page = session_page(request.query_params.get("cursor", ""))
        results = [_listed(row) for row in page.sessions]
        return json_response({"next": next_url(request, page.older), "results": results})


def _listed(row: SessionRow) -> dict[str, Any]:
    more = {"duration_ms": row.duration_ms, "live": row.live > 0, "guessed": row.is_guessed}
    return asdict(row) | more


class SessionView(RecordView):
    """One session: its requests in order, the conversations in it, totals."""

    @extend_schema(responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request, session_id: str) -> HttpResponse:
        """Return the newest requests of a session, oldest first; `left_out` counts the others."""
        found = session(session_id)
        if found is None:
            raise NotFound("No request of this session is stored.")
        # The session's rows hold what its page shows; a summary needs nearly every column.
        complete = Flow.objects.defer("search_text").in_bulk([row.flow.pk for row in found.rows])
        rows = [row for row in found.rows if row.flow.pk in complete]
        return json_response(
            {
                "id": found.id,
                "totals": found.totals,
                "cache_share": found.cache_share,
                "conversations": [asdict(thread) for thread in found.threads],
                "requests": [_session_row(row, complete[row.flow.pk]) for row in rows],
                "left_out": found.left_out,
            }
        )


class SessionExportView(RecordView):
    """A session as one file to share."""

    @extend_schema(
        parameters=[OpenApiParameter("kind", str, OpenApiParameter.PATH, enum=list(SESSION_KINDS))],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, session_id: str, kind: str) -> HttpResponseBase:
        """Return HTML that opens offline, Markdown, or JSONL that another ccproxy imports."""
        found = session(session_id)
        if found is None or kind not in SESSION_KINDS:
            raise NotFound("No request of this session is stored, or there is no such kind.")
        return session_response(found, kind, by=caller_of(request))


def _session_row(row: Row, flow: Flow) -> dict[str, Any]:
    return {
        "flow": flow_summary(flow),
        "conversation": row.thread.letter,
        "since_ms": row.since_ms,
        "cache_share": row.cache_share,
        "cache_lost": row.cache_lost,
    }
