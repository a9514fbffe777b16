"""Changes that the pages of shapes offer; each leads back to a page."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from providers.audit.log import caller_of
from providers.base.errors import CcproxyError
from providers.base.names import PROVIDER_TYPES
from shapes.console.page_for import change_for, page_for
from shapes.console.shape_pages import find
from shapes.versions.activation import (
    acknowledge,
    activate_version,
    deactivate,
    delete_version,
    withdraw,
)


@change_for("change")
def activate_view(request: HttpRequest, provider_type: str, version: int) -> HttpResponse:
    """Let requests take a version, also an older one."""
    shape = find(provider_type, version)
    try:
        activate_version(shape, by=caller_of(request))
    except CcproxyError as exc:
        messages.error(request, str(exc))
    else:
        messages.success(request, f"Requests to {provider_type} take v{version} now.")
    return _back(request)


@change_for("change")
def deactivate_view(request: HttpRequest, provider_type: str) -> HttpResponse:
    """Let requests to a provider type leave unshaped."""
    deactivate(_known(provider_type), by=caller_of(request))
    messages.success(request, f"Requests to {provider_type} leave unshaped now.")
    return _back(request)


@change_for("delete")
def delete_view(request: HttpRequest, provider_type: str, version: int) -> HttpResponse:
    """Delete a version."""
    shape = find(provider_type, version)
    if request.POST.get("sure") != "on":
        messages.error(request, f"Nothing is deleted: tick the box to delete {shape}.")
        return redirect("shapes:detail", provider_type, version)
    name = str(shape)
    delete_version(shape, by=caller_of(request))
    messages.success(request, f"Deleted {name}.")
    return redirect("shapes:list")


@change_for("acknowledge")
def acknowledge_view(request: HttpRequest, provider_type: str) -> HttpResponse:
    """Note that a person confirmed the sentence about the terms, or take it back."""
    _known(provider_type)
    if request.POST.get("withdraw"):
        withdraw(provider_type, by=caller_of(request))
        messages.success(request, f"Withdrawn: no request to {provider_type} is shaped any more.")
    elif request.POST.get("sure") == "on":
        acknowledge(provider_type, by=caller_of(request))
        messages.success(request, f"Confirmed for {provider_type}.")
    else:
        messages.error(request, "Not confirmed: tick the sentence first.")
    return redirect("shapes:list")


@page_for("look")
def mflow_view(request: HttpRequest, provider_type: str, version: int) -> HttpResponse:
    """Return a version as a mitmproxy capture."""
    del request
    # mitmproxy takes most of a second to import.
    from shapes.files.directory import mflow_of

    shape = find(provider_type, version)
    response = HttpResponse(mflow_of(shape), content_type="application/octet-stream")
    response["Content-Disposition"] = f'attachment; filename="{shape.provider_type}.mflow"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _known(provider_type: str) -> str:
    if provider_type not in PROVIDER_TYPES:
        raise Http404("There is no such provider type.")
    return provider_type


def _back(request: HttpRequest) -> HttpResponse:
    """Lead back to the version's page if the form came from there, else to the list."""
    provider_type = request.POST.get("type", "")
    version = request.POST.get("version", "")
    if provider_type in PROVIDER_TYPES and version.isascii() and version.isdigit():
        return redirect("shapes:detail", provider_type, int(version[:9]))
    return redirect("shapes:list")
