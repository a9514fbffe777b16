"""Pages of a session and of the usage by day."""

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
from flows.queries.usage_summary import DEFAULT_DAYS, MEASURES, PERIODS, Measure, usage_summary
from flows.reading.body_view import side_body
from flows.reading.context_size import ContextSize, context_size


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


@console_page(VIEW_FLOWS)
def usage_page(request: HttpRequest) -> HttpResponse:
    """Show tokens and costs by day, provider, model and session."""
    wanted_days = request.GET.get("days", "")
    days = next((period for period in PERIODS if str(period) == wanted_days), DEFAULT_DAYS)
    wanted_measure = request.GET.get("show", "")
    measure: Measure = next((name for name in MEASURES if name == wanted_measure), "cost")
    context = {
        "usage": usage_summary(days, measure),
        "periods": PERIODS,
        "measures": MEASURES,
    }
    return render(request, "flows/usage.html", context)


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
