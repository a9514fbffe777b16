"""Pages that export flows: "copy as", and HAR."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from flows.bodies.complete_flow import load_flow
from flows.console.page_access import console_page
from flows.display.highlight import highlighted
from flows.display.safe_text import printable
from flows.export.codegen import copy_as
from flows.export.har_response import har_response
from flows.export.kinds import KINDS
from flows.models import Flow
from flows.queries.filters import FlowFilter
from flows.queries.flow_set import ids_of, jq_window
from flows.queries.jq import JqError
from flows.queries.rights import VIEW_FLOWS
from providers.audit.log import caller_of
from providers.base.errors import CcproxyError

_EXTENSIONS = {"curl": "sh", "markdown": "md"}
_LANGUAGES = {"curl": "bash", "markdown": ""}
SIDES = {"client": "as the client sent it", "forwarded": "as forwarded"}


@console_page(VIEW_FLOWS)
def copy_page(request: HttpRequest, flow_id: str, kind: str) -> HttpResponse:
    """Show a flow's request in another form, to copy or (`?download=1`) to save."""
    flow = load_flow(flow_id)
    if flow is None or kind not in KINDS:
        return render(request, "flows/missing.html", {"flow_id": printable(flow_id)}, status=404)
    side = request.GET.get("side", "")
    if side not in SIDES:
        side = "client"
    text = ""
    problem = ""
    try:
        text = copy_as(kind, flow, side)
    except CcproxyError as exc:
        problem = str(exc)
    if text and request.GET.get("download"):
        extension = _EXTENSIONS.get(kind, "py")
        return _download(text, f"{flow_id[:8]}.{extension}")
    context = {
        "flow": flow.flow,
        "kind": kind,
        "kinds": KINDS,
        "side": side,
        "sides": SIDES,
        "code": highlighted(text, _LANGUAGES.get(kind, "python")),
        "problem": problem,
    }
    return render(request, "flows/copy_as.html", context)


def _download(text: str, name: str) -> HttpResponse:
    # Bytes that are not UTF-8 become question marks.
    encoded = text.encode("utf-8", "replace")
    response = HttpResponse(encoded, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


@console_page(VIEW_FLOWS)
def har_of_list(request: HttpRequest) -> HttpResponseBase:
    """Return all flows of the list under its filters as HAR."""
    flows = FlowFilter(request.GET, queryset=Flow.objects.all()).qs
    source = request.GET.get("jq", "").strip()
    if not source:
        oldest_first = flows.order_by("started_at", "id").values_list("pk", flat=True)
        return har_response(list(oldest_first), by=caller_of(request))
    newest_first = flows.order_by("-started_at", "-id")
    try:
        ids = ids_of(jq_window(newest_first, [source]).results)
    except JqError as exc:
        return _refused(str(exc))
    if ids is None:
        return _refused("The jq filter has to keep flows, or at least their id.")
    return har_response(ids, by=caller_of(request))


def _refused(text: str) -> HttpResponse:
    return HttpResponse(text, status=400, content_type="text/plain; charset=utf-8")


@console_page(VIEW_FLOWS)
def har_of_flow(request: HttpRequest, flow_id: str) -> HttpResponseBase:
    """Return one flow as HAR."""
    if "\0" in flow_id or not Flow.objects.filter(pk=flow_id).exists():
        raise Http404("There is no such flow.")
    # Imported ids may hold anything; a file name may not.
    short_id = flow_id[:8]
    name = f"ccproxy-{short_id}" if short_id.isalnum() else "ccproxy"
    return har_response([flow_id], name, by=caller_of(request))
