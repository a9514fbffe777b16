"""Pages of requests that failed: an address of nothing, or a database that is away."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.template.loader import render_to_string
from django.views.defaults import page_not_found

from ccproxy_site.console.notices import recording_notice

API_PREFIX: Final = "/api/"


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer programs in JSON and people with a page."""
    if request.path.startswith(API_PREFIX):
        detail = "There is no such resource; /api/ lists those there are."
        return JsonResponse({"detail": detail}, status=404)
    return page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer without the database: it may be the reason."""
    if request.path.startswith(API_PREFIX):
        detail = "This request failed; `ccproxy logs` says why."
        return JsonResponse({"detail": detail}, status=500)
    page = render_to_string("500.html", dict(recording_notice(request)))
    return HttpResponse(page, status=500)
