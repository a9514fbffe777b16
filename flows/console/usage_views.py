"""The page of the usage by day."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from django.http import HttpRequest, HttpResponse
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


@console_page(VIEW_FLOWS)
def usage_page(request: HttpRequest) -> HttpResponse:
    """Show tokens and costs by day, provider, model and session."""
    wanted_measure = request.GET.get("show", "")
    measure: Measure = next((name for name in MEASURES if name == wanted_measure), "cost")
    usage = usage_summary(_wanted_days(request), measure)
    first_moment = datetime.combine(usage.first, time(), UTC)
    context = {
        "usage": usage,
        "periods": PERIODS,
        "measures": MEASURES,
        "latencies": latencies(first_moment),
        "newest": NEWEST,
        "cache_lines": line(_shares_of_days(usage)),
    }
    return render(request, "flows/usage.html", context)


@console_page(VIEW_FLOWS)
def usage_csv(request: HttpRequest) -> HttpResponse:
    """Send the daily sums of the chosen period as CSV."""
    first, last = period(_wanted_days(request))
    table = "".join(usage_lines(first, last))
    response = HttpResponse(table, content_type="text/csv; charset=utf-8")
    name = f"ccproxy-usage-{first}-{last}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _wanted_days(request: HttpRequest) -> int:
    wanted = request.GET.get("days", "")
    return next((days for days in PERIODS if str(days) == wanted), DEFAULT_DAYS)


def _shares_of_days(usage: UsageSummary) -> list[float | None]:
    """Return the share of the cache for each day of the period; None without reports."""
    known = {row["day"]: row["cache_share"] for row in usage.by_day}
    return [known.get(usage.first + timedelta(days=index)) for index in range(usage.days)]
