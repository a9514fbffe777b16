"""The pages of a session and of the usage by day."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from flows.console.conversation_tab import request_of
from flows.console.pages import console_page
from flows.display.safe_text import printable
from flows.models import Flow
from flows.queries import selectors
from flows.queries.sessions import session
from flows.queries.usage_summary import DEFAULT_DAYS, MEASURES, PERIODS, Measure, usage_summary
from flows.reading.body_view import side_body
from flows.reading.context_size import ContextSize, context_size


@console_page
def session_page(request: HttpRequest, session_id: str) -> HttpResponse:
    """One session: timeline, totals, cache hits, context growth, and what fills the newest
    request.
    """
    found = None if "\0" in session_id else session(session_id)
    if found is None:
        return render(
            request, "flows/no_session.html", {"session_id": printable(session_id)}, status=404
        )
    context = {"session": found, "context": _breakdown(found.newest) if found.newest else None}
    return render(request, "flows/session.html", context)


@console_page
def usage_page(request: HttpRequest) -> HttpResponse:
    """Tokens and costs by day, provider, model and session."""
    wanted = request.GET.get("days", "")
    days = next((period for period in PERIODS if str(period) == wanted), DEFAULT_DAYS)
    measure: Measure = next((name for name in MEASURES if name == request.GET.get("show")), "cost")
    summary = usage_summary(days, measure)
    return render(
        request, "flows/usage.html", {"usage": summary, "periods": PERIODS, "measures": MEASURES}
    )


def _breakdown(flow: Flow) -> ContextSize | None:
    detail = selectors.flow_detail(flow.pk)
    side = detail.sides.get("forwarded") if detail else None
    if detail is None or side is None:
        return None
    body = side_body(side, selectors.load_bodies([side.body_digest]))
    request, _ = request_of(detail.flow, side, body, "forwarded")
    return context_size(request) if request else None
