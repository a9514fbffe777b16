"""State of the record for the browser's tab: failures since it was looked at, newest notices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.http import HttpRequest, JsonResponse

from ccproxy_site.console.recording_word import RECORDING
from ccproxy_site.models import SentNotice
from flows.console.page_access import console_page
from flows.failure import is_alarming
from flows.lookup_method import LOOKUP
from flows.models import Flow
from interceptor.instances.health import running_interceptors

MAX_FLOWS: Final = 2000
"""Newest flows in which failures are counted."""
MAX_AGE: Final = timedelta(hours=24)
LONG: Final = timedelta(minutes=10)
"""A flow may begin this long before the tab was left, and fail after it."""
MAX_NOTICES: Final = 5
NOTICE_RIGHT: Final = "ccproxy_site.view_sentnotice"


@console_page("flows.view_flow")
def tab_state(request: HttpRequest) -> JsonResponse:
    """Return what the tab's title and icon show.

    Query: `since`, Unix time of the last look; `after`, id of the newest notice that was shown.
    """
    now = datetime.now(UTC)
    since = _moment(request.GET.get("since", ""), now)
    return JsonResponse(
        {
            "now": now.timestamp(),
            "problem": _problem(),
            "failures": _failures_since(since),
            **_notices(request),
        }
    )


def _moment(text: str, now: datetime) -> datetime:
    """Return a moment of the last day; now for a text that is none."""
    try:
        found = datetime.fromtimestamp(float(text), UTC)
    except (ValueError, OverflowError, OSError):
        return now
    return min(now, max(found, now - MAX_AGE))


def _problem() -> str:
    """Return why flows are not recorded; "" while they are."""
    if RECORDING.problem:
        return RECORDING.problem
    return "" if running_interceptors() else "no interceptor is running"


def _failures_since(since: datetime) -> int:
    newest = (
        Flow.objects.filter(started_at__gte=since - LONG)
        .exclude(method=LOOKUP)
        .order_by("-started_at", "-id")
        .values_list("method", "state", "status_code", "error", "finished_at")[:MAX_FLOWS]
    )
    count = 0
    for method, state, status_code, error, finished_at in newest:
        is_new = finished_at is not None and finished_at >= since
        if is_new and is_alarming(method, state, status_code, error):
            count += 1
    return count


def _notices(request: HttpRequest) -> dict[str, Any]:
    """Return the notices after the one that was shown, oldest first, and the newest one's id."""
    if not request.user.has_perm(NOTICE_RIGHT):
        return {"last": 0, "notices": []}
    rows = list(SentNotice.objects.all()[:MAX_NOTICES])
    last = rows[0].pk if rows else 0
    after = request.GET.get("after", "")
    # A browser that was never asked before begins with what comes now.
    shown_until = int(after) if after.isdecimal() and len(after) < 16 else last
    new = [row for row in reversed(rows) if row.pk > shown_until]
    return {"last": last, "notices": [_notice(row) for row in new]}


def _notice(row: SentNotice) -> dict[str, Any]:
    flow = row.facts.get("flow")
    return {"id": row.pk, "kind": row.kind, "text": row.text, "flow": flow or ""}
