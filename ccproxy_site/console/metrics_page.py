"""`/metrics` of the console: the state of all running interceptors as text for Prometheus."""

from __future__ import annotations

import ipaddress
from typing import Final

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from rest_framework.exceptions import AuthenticationFailed

from ccproxy_site.console.api_tokens import HashedTokenAuthentication
from flows.telemetry.metrics.prometheus_text import CONTENT_TYPE, prometheus_text
from interceptor.instances.health import running_interceptors
from interceptor.instances.metric_points import running_points
from providers.web.client_address import client_address

RIGHT: Final = "flows.view_usagedaily"
_FORWARDED: Final = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")


class BearerAuthentication(HashedTokenAuthentication):
    """`Authorization: Bearer …` with an API token, as Prometheus sends it by default."""

    keyword = "Bearer"


@login_not_required
@require_safe
def metrics_page(request: HttpRequest) -> HttpResponse:
    """Return the metrics to a program on this machine, or to a user with the right.

    A user shows an API token, or has a login. A program on this machine shows nothing.
    """
    if refusal := _refusal(request):
        return refusal
    text = prometheus_text(running_points(running_interceptors()))
    return HttpResponse(text, content_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})


# What a test of all pages reads.
metrics_page.rights = (RIGHT,)  # type: ignore[attr-defined]


def _refusal(request: HttpRequest) -> HttpResponse | None:
    """Return the refusal of a request; None for one that may read."""
    user = request.user
    try:
        for way in (HashedTokenAuthentication, BearerAuthentication):
            if found := way().authenticate(request):  # type: ignore[arg-type]
                user, _ = found
    except AuthenticationFailed as exc:
        return _says(401, str(exc.detail))
    if user.is_authenticated:
        may = user.is_staff and user.has_perm(RIGHT)
        return None if may else _says(403, f"This needs the right {RIGHT}.")
    if "HTTP_AUTHORIZATION" not in request.META and _is_local(request):
        return None
    return _says(401, "This needs an API token: Authorization: Token …")


def _says(status: int, sentence: str) -> HttpResponse:
    headers = {"WWW-Authenticate": "Token"} if status == 401 else {}
    return HttpResponse(
        f"{sentence}\n", status=status, content_type="text/plain; charset=utf-8", headers=headers
    )


def _is_local(request: HttpRequest) -> bool:
    """Return True for a connection from this machine that no proxy has forwarded."""
    if any(name in request.META for name in _FORWARDED):
        return False
    try:
        return ipaddress.ip_address(client_address(request)).is_loopback
    except ValueError:
        return False
