"""The page of a request that failed, such as one that needed a database that is away."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from ccproxy_site.console.notices import recording_notice


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer without the database: it may be the reason."""
    page = render_to_string("500.html", dict(recording_notice(request)))
    return HttpResponse(page, status=500)
