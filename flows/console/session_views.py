"""Pages of sessions: the list, one session."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from flows.console.conversation_tab import request_of
from flows.console.page_access import console_page
from flows.display.safe_text import printable
from flows.models import Flow
from flows.queries import selectors
from flows.queries.rights import VIEW_FLOWS
from flows.queries.sessions import session
from flows.reading.body_view import side_body
from flows.reading.context_size import ContextSize, context_size
from flows.sessions.session_list import session_page as page_of_sessions


@console_page(VIEW_FLOWS)
def session_list(request: HttpRequest) -> HttpResponse:
    """Show the sessions, the one with the newest request first."""
    cursor = request.GET.get("cursor", "")
    page = page_of_sessions(cursor)
    return render(request, "flows/sessions.html", {"page": page, "first_page": not cursor})


@console_page(VIEW_FLOWS)
def session_page(request: HttpRequest, session_id: str) -> HttpResponse:
    """Show a session: timeline, totals, cache hits, and the contents of its newest request."""
    # PostgreSQL refuses NUL in a text.
    found = None if "\0" in session_id else session(session_id)
    if found is None:
        shown_id = printable(session_id)
        return render(request, "flows/no_session.html", {"session_id": shown_id}, status=404)
    breakdown = _breakdown(found.newest) if found.newest else None
    return render(request, "flows/session.html", {"session": found, "context": breakdown})


def _breakdown(flow: Flow) -> ContextSize | None:
    detail = selectors.flow_detail(flow.pk)
    if detail is None:
        return None
    side = detail.sides.get("forwarded")
    if side is None:
        return None
    body = side_body(side, selectors.load_bodies([side.body_digest]))
    request = request_of(detail.flow, side, body, "forwarded").request
    return context_size(request) if request else None
