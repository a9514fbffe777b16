"""Pages that make versions: the review of a flow, and files."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode

from flows.bodies.complete_flow import CompleteFlow, load_flow
from flows.display.safe_text import printable
from flows.display.units import size
from providers.audit.log import caller_of
from providers.base.errors import CcproxyError
from providers.base.names import PROVIDER_TYPES
from shapes.console.page_for import change_for, form_for
from shapes.models import Shape
from shapes.versions.activation import save_version
from shapes.versions.candidates import types_for
from shapes.versions.capturing import Review, compare_shapes, review

_MAX_KEPT = 100
_MAX_NOTES_CHARS = 10_000
_OTHER_CONTENT = (
    "The profile changed after you looked at this. Nothing is stored: look at it again."
)


@form_for("capture")
def capture_page(request: HttpRequest, flow_id: str) -> HttpResponse:
    """Show what a flow would become as a shape; store it when that is confirmed."""
    flow = load_flow(flow_id)
    if flow is None:
        missing = {"flow_id": printable(flow_id)}
        return render(request, "flows/missing.html", missing, status=404)
    values = request.POST if request.method == "POST" else request.GET
    provider_type = values.get("type", "") or _guessed(flow)
    keep = [place[:200] for place in values.getlist("keep")[:_MAX_KEPT]]
    context: dict[str, Any] = {
        "flow": flow.flow,
        "provider_type": provider_type,
        "keep": keep,
        "types": PROVIDER_TYPES.items(),
    }
    try:
        found = review(flow, provider_type, keep)
        if request.method == "POST":
            if found.digest != values.get("digest"):
                raise CcproxyError(_OTHER_CONTENT)
            return _store(request, found)
    except CcproxyError as exc:
        context["problem"] = str(exc)
        return render(request, "shapes/review.html", context, status=409)
    context |= _reviewed(found, provider_type, against=values.get("against", ""))
    return render(request, "shapes/review.html", context)


def _guessed(flow: CompleteFlow) -> str:
    """Return the provider type of a flow: by its path, else by its provider."""
    fitting = types_for(flow.flow.path)
    return (fitting[0] if fitting else flow.flow.provider_type) or "anthropic"


def _reviewed(found: Review, provider_type: str, *, against: str) -> dict[str, Any]:
    active = Shape.objects.filter(provider_type=provider_type, active=True).first()
    change = found.change()
    if against == "active" and active is not None:
        change = compare_shapes(active, found.shape)
    return {
        "found": found,
        "report": found.scrubbed.report,
        "active": active,
        "against": against if active else "",
        "change": change,
    }


def _store(request: HttpRequest, found: Review) -> HttpResponse:
    if found.same_as is not None:
        messages.info(request, f"{found.same_as} has this content already. Nothing is stored.")
        return _to(found.same_as)
    found.shape.notes = request.POST.get("notes", "").replace("\0", "")[:_MAX_NOTES_CHARS]
    activate = request.POST.get("activate") == "on"
    if activate and not request.user.has_perm("shapes.change_shape"):
        activate = False
    shape = save_version(found.shape, by=caller_of(request), activate=activate)
    state = "requests take it now" if activate else "it is not active"
    messages.success(request, f"Stored {shape}; {state}.")
    return _to(shape)


def _to(shape: Shape) -> HttpResponse:
    return redirect("shapes:detail", shape.provider_type, shape.version)


@change_for("capture")
def import_file(request: HttpRequest) -> HttpResponse:
    """Store the last request of a mitmproxy capture, scrubbed, as an inactive version."""
    # mitmproxy takes most of a second to import, which the console would pay at its start.
    from shapes.files.directory import review_file
    from shapes.files.mflow_file import MAX_FILE_BYTES, read_mflow

    declared = request.META.get("CONTENT_LENGTH") or ""
    if not declared.isdigit() or int(declared[:20]) > MAX_FILE_BYTES:
        messages.error(request, f"A shape’s file has at most {size(MAX_FILE_BYTES)}.")
        return redirect("shapes:list")
    upload = request.FILES.get("file")
    if upload is None:
        messages.error(request, "Choose a file first.")
        return redirect("shapes:list")
    name = printable(upload.name or "The file")[:200]
    try:
        file = read_mflow(upload, name)  # type: ignore[arg-type]
        found = review_file(file, name, request.POST.get("type", ""))
        if found.same_as is not None:
            messages.info(request, f"{found.same_as} has the content of {name} already.")
            return _to(found.same_as)
        shape = save_version(found.shape, by=caller_of(request))
    except CcproxyError as exc:
        messages.error(request, str(exc))
        return redirect("shapes:list")
    messages.success(request, f"Stored {name} as {shape}; it is not active.")
    path = reverse("shapes:detail", args=[shape.provider_type, shape.version])
    return redirect(f"{path}?{urlencode({'tab': 'scrubbed'})}")
