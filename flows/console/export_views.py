"""Pages that take flows out of the console: "copy as", and HAR."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from flows.bodies.complete_flow import load_flow
from flows.console.pages import console_page
from flows.display.safe_text import printable
from flows.export.codegen import KINDS, copy_as
from flows.export.har_response import har_response
from flows.models import Flow
from flows.queries.filters import FlowFilter
from flows.queries.flow_set import ids_of, jq_window
from flows.queries.jq import JqError
from providers.audit.log import caller_of
from providers.base.errors import CcproxyError

SIDES = {"client": "as the client sent it", "forwarded": "as it was forwarded"}


@console_page
def copy_page(request: HttpRequest, flow_id: str, kind: str) -> HttpResponse:
    """A flow's request in another form, to copy or (`?download=1`) to save."""
    flow = load_flow(flow_id)
    if flow is None or kind not in KINDS:
        return render(request, "flows/missing.html", {"flow_id": printable(flow_id)}, status=404)
    side = request.GET.get("side", "")
    side = side if side in SIDES else "client"
    text = problem = ""
    try:
        text = copy_as(kind, flow, side)
    except CcproxyError as exc:
        problem = str(exc)
    if text and request.GET.get("download"):
        return _download(text, f"{flow_id[:8]}.{_EXTENSIONS.get(kind, 'py')}")
    context = {
        "flow": flow.flow,
        "kind": kind,
        "kinds": KINDS,
        "side": side,
        "sides": SIDES,
        "text": text,
    }
    return render(request, "flows/copy_as.html", {**context, "problem": problem})


_EXTENSIONS = {"curl": "sh", "markdown": "md"}


def _download(text: str, name: str) -> HttpResponse:
    response = HttpResponse(
        text.encode("utf-8", "replace"), content_type="text/plain; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


@console_page
def har_of_list(request: HttpRequest) -> HttpResponseBase:
    """What the list shows under its filters, all of it, as HAR."""
    flows = FlowFilter(request.GET, queryset=Flow.objects.all()).qs
    if source := request.GET.get("jq", "").strip():
        try:
            ids = ids_of(jq_window(flows.order_by("-started_at", "-id"), [source])[0])
        except JqError as exc:
            return HttpResponse(str(exc), status=400, content_type="text/plain; charset=utf-8")
        if ids is None:
            text = "The jq filter has to keep whole flows, or at least their id."
            return HttpResponse(text, status=400, content_type="text/plain; charset=utf-8")
        return har_response(ids, by=caller_of(request))
    ids = list(flows.order_by("started_at", "id").values_list("pk", flat=True))
    return har_response(ids, by=caller_of(request))


@console_page
def har_of_flow(request: HttpRequest, flow_id: str) -> HttpResponseBase:
    """One flow as HAR."""
    if "\0" in flow_id or not Flow.objects.filter(pk=flow_id).exists():
        raise Http404("There is no such flow.")
    name = f"ccproxy-{flow_id[:8]}" if flow_id[:8].isalnum() else "ccproxy"
    return har_response([flow_id], name, by=caller_of(request))
