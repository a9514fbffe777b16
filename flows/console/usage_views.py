"""The page of the usage by day."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Final

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import render

from flows.console.page_access import console_page
from flows.figures.latencies import NEWEST, latencies
from flows.figures.plots import line
from flows.figures.usage_summary import (
    DEFAULT_DAYS,
    MEASURES,
    PERIODS,
    Measure,
    UsageSummary,
    period,
    usage_summary,
)
from flows.figures.usage_table import usage_lines
from flows.queries.rights import VIEW_FLOWS
from flows.sessions.session_list import add_titles
from providers.base.nearest import capitalised, no_such

DEFAULT_MEASURE: Final = "cost"


@console_page(VIEW_FLOWS)
def usage_page(request: HttpRequest) -> HttpResponse:
    """Show tokens and costs by day, provider, model and session."""
    days, problem = _wanted_days(request)
    problems = [problem] if problem else []
    shown = request.GET.get("show", "") or DEFAULT_MEASURE
    measure: Measure = next((name for name in MEASURES if name == shown), DEFAULT_MEASURE)
    if measure != shown:
        problems.append(capitalised(no_such("measure", shown, MEASURES)))
    usage = usage_summary(days, measure)
    add_titles(usage.sessions)
    first_moment = datetime.combine(usage.first, time(), UTC)
    context = {
        "usage": usage,
        "problems": problems,
        "periods": PERIODS,
        "measures": MEASURES,
        "latencies": latencies(first_moment),
        "newest": NEWEST,
        "cache_lines": line(_shares_of_days(usage)),
    }
    return render(request, "flows/usage.html", context)


@console_page(VIEW_FLOWS)
def usage_csv(request: HttpRequest) -> HttpResponse:
    """Send the daily sums of the chosen period as CSV; refuse a period that does not exist."""
    days, problem = _wanted_days(request)
    if problem:
        return HttpResponseBadRequest(problem, content_type="text/plain; charset=utf-8")
    first, last = period(days)
    table = "".join(usage_lines(first, last))
    response = HttpResponse(table, content_type="text/csv; charset=utf-8")
    name = f"ccproxy-usage-{first}-{last}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _wanted_days(request: HttpRequest) -> tuple[int, str]:
    """Return the days that the address asks for, and a sentence if there is no such period."""
    wanted = request.GET.get("days", "") or str(DEFAULT_DAYS)
    for days in PERIODS:
        if str(days) == wanted:
            return days, ""
    return DEFAULT_DAYS, capitalised(no_such("period", wanted, map(str, PERIODS)))


def _shares_of_days(usage: UsageSummary) -> list[float | None]:
    """Return the share of the cache for each day of the period; None without reports."""
    known = {row["day"]: row["cache_share"] for row in usage.by_day}
    return [known.get(usage.first + timedelta(days=index)) for index in range(usage.days)]
