"""Middleware that names the request behind changes of the configuration, for the audit log."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from providers.audit.config_changes import acting

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class ActingMiddleware:
    """Stands behind authentication, in front of every view."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with acting(request):
            return self._get_response(request)
