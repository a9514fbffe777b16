"""Pinning a flow from its page or from the list."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from flows.console.page_access import staff_page
from flows.models import Flow
from flows.queries.rights import VIEW_FLOWS
from flows.services import pin


@require_POST
@staff_page(VIEW_FLOWS, "flows.change_flow")
def pin_flow(request: HttpRequest, flow_id: str) -> HttpResponse:
    """Pin a flow, or unpin it with `pinned=false`; answer htmx with the new button."""
    pin(Flow.objects.filter(pk=flow_id), pinned=request.POST.get("pinned") != "false")
    flow = Flow.objects.filter(pk=flow_id).only("pk", "pinned").first()
    if flow is None:
        raise Http404("There is no such flow.")
    if request.htmx:  # type: ignore[attr-defined]
        context = {"flow": flow, "words": request.POST.get("words")}
        return render(request, "flows/_pin.html", context)
    return redirect("flows:detail", flow_id)
