"""The dashboard: what happens now, today and in the last 24 hours."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from flows.console.page_access import console_page
from flows.figures.dashboard import ACTIVE_MINUTES, dashboard
from flows.figures.latencies import NEWEST
from flows.queries.rights import VIEW_FLOWS
from flows.sessions.session_list import add_titles


@console_page(VIEW_FLOWS)
def dashboard_page(request: HttpRequest) -> HttpResponse:
    """Show cost, requests, failures, latencies and running sessions."""
    board = dashboard(timezone.now())
    add_titles(board.sessions)
    context = {
        "board": board,
        "active_minutes": ACTIVE_MINUTES,
        "newest": NEWEST,
    }
    return render(request, "flows/dashboard.html", context)
