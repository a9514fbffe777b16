"""Pages that send a recorded request again: the editor with its diff, and the moment until the new
flow is there.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from flows.bodies.complete_flow import CompleteFlow, load_flow
from flows.console.page_access import console_page, staff_page
from flows.display.safe_text import printable
from flows.models import Resend
from flows.queries.rights import RESEND, VIEW_FLOWS
from interceptor.config.snapshot.load import load_snapshot
from interceptor.resend.draft import Draft, draft_of, recorded_side
from interceptor.resend.outgoing import difference, outgoing
from interceptor.resend.sender import await_flow, is_recorded, send_again
from providers.audit.log import caller_of
from providers.base.errors import CcproxyError

WAIT_S = 1.0
"""How long the page waits for the new flow before it shows that it waits."""


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page(VIEW_FLOWS)
def resend_page(request: HttpRequest, flow_id: str) -> HttpResponse:
    """Show the recorded request, ready to be edited, and send it on POST.

    `?as=forwarded` takes the request that left the proxy.
    """
    flow = load_flow(flow_id)
    if flow is None:
        return render(request, "flows/missing.html", {"flow_id": printable(flow_id)}, status=404)
    as_forwarded = _manner(request)
    context: dict[str, Any] = {
        "flow": flow.flow,
        "as_forwarded": as_forwarded,
        "may": _may(request),
    }
    if request.method == "POST":
        if not _may(request):
            raise PermissionDenied("Sending requests again needs the right “Can add resend”.")
        context |= _asked(flow, request.POST, as_forwarded=as_forwarded)
        found = context.get("outgoing")
        if found is not None and not (found.problem and "anyway" not in request.POST):
            try:
                row = send_again(found, caller_of(request))
            except CcproxyError as exc:
                context["error"] = str(exc)
            else:
                return _to_the_flow(await_flow(row.ticket, WAIT_S) or row)
    else:
        context |= _asked(flow, QueryDict(), as_forwarded=as_forwarded)
    status = 409 if request.method == "POST" else 200
    return render(request, "interceptor/resend.html", context, status=status)


@require_POST
@staff_page(VIEW_FLOWS)
def resend_preview(request: HttpRequest, flow_id: str) -> HttpResponse:
    """Show the differences of the edited request and the proxy's decision. Nothing is sent."""
    flow = load_flow(flow_id)
    if flow is None:
        raise Http404("There is no such flow.")
    context = {"flow": flow.flow, "as_forwarded": _manner(request)}
    context |= _asked(flow, request.POST, as_forwarded=_manner(request))
    return render(request, "interceptor/_resend_preview.html", context)


@console_page(VIEW_FLOWS)
def resend_ticket(request: HttpRequest, ticket: str) -> HttpResponse:
    """Redirect to the new flow once it is recorded; until then, wait, or show why there is none."""
    row = Resend.objects.filter(pk=ticket).first() if "\0" not in ticket else None
    if row is None:
        return render(request, "flows/missing.html", {"flow_id": printable(ticket)}, status=404)
    if is_recorded(row):
        if request.htmx:  # type: ignore[attr-defined]
            return HttpResponse(headers={"HX-Redirect": _to_the_flow(row)["Location"]})
        return _to_the_flow(row)
    template = "interceptor/_resend_state.html" if request.htmx else "interceptor/resend_wait.html"  # type: ignore[attr-defined]
    return render(request, template, {"row": row})


def _may(request: HttpRequest) -> bool:
    return bool(request.user.has_perm(RESEND))


def _manner(request: HttpRequest) -> bool:
    given = request.POST if request.method == "POST" else request.GET
    return given.get("as") == "forwarded"


def _asked(flow: CompleteFlow, given: QueryDict, *, as_forwarded: bool) -> dict[str, Any]:
    """Return the draft, and the request that it makes or the reason why it makes none."""
    context: dict[str, Any] = {}
    try:
        side = recorded_side(flow, as_forwarded=as_forwarded)
        context["draft"] = known = draft_of(flow, side)
        draft = _draft(given, known) if "edit" in given else None
        context["draft"] = draft or known
        context["outgoing"] = found = outgoing(
            flow, load_snapshot(), as_forwarded=as_forwarded, draft=draft
        )
        context["change"] = difference(found) if found.edited or found.notes else None
    except CcproxyError as exc:
        context["error"] = str(exc)
    return context


def _draft(given: QueryDict, known: Draft) -> Draft:
    """Return the editor's texts; the page leaves out an empty field."""
    texts = {
        name: given.get(name, "").replace("\r\n", "\n")
        for name in ("method", "target", "headers", "body")
    }
    return Draft(
        **{**texts, "body": known.body if known.locked else texts["body"]}, locked=known.locked
    )


def _to_the_flow(row: Resend) -> HttpResponse:
    if is_recorded(row):
        return redirect("flows:detail", row.new_flow_id)
    return redirect("resend-ticket", row.ticket)
