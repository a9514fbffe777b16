"""Page of a dry run."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from flows.bodies.complete_flow import load_flow
from flows.console.page_access import staff_page
from flows.queries.rights import VIEW_FLOWS
from interceptor.explain.as_configured import explain_as_configured
from interceptor.explain.explanation import DryRequest
from interceptor.explain.sources import RequestError, difference, of_flow, of_text
from providers.base.errors import CcproxyError

EXAMPLE = """\
POST /v1/messages
content-type: application/json
x-api-key: sk-ccproxy-anthropic

{"model": "claude-haiku-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}
"""


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page(VIEW_FLOWS)
def explain_page(request: HttpRequest) -> HttpResponse:
    """Explain a recorded flow (`?flow=ID`) or a pasted request, without any network."""
    flow_id, pasted = request.GET.get("flow", ""), request.POST.get("request", "")
    context: dict[str, Any] = {"flow_id": flow_id, "pasted": pasted or EXAMPLE}
    try:
        if request.method == "POST":
            context |= _explained(of_text(pasted))
        elif flow_id:
            context |= _explained(_recorded(flow_id))
    except CcproxyError as exc:
        context["error"] = str(exc)
    return render(request, "interceptor/explain.html", context)


def _recorded(flow_id: str) -> DryRequest:
    flow = load_flow(flow_id)
    if flow is None:
        raise RequestError("There is no such flow; it may have been cleared.")
    return of_flow(flow)


def _explained(dry: DryRequest) -> dict[str, Any]:
    found = explain_as_configured(dry)
    return {"found": found, "change": difference(found) if found.leaves else None}
