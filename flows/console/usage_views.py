"""The page of the usage by day."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from flows.console.page_access import console_page
from flows.queries.rights import VIEW_FLOWS
from flows.queries.usage_summary import DEFAULT_DAYS, MEASURES, PERIODS, Measure, usage_summary


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
