"""Shows a stored secret, once: to who may, after the password, and not before the audit log has a
row of it.
"""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from providers.audit.log import audited, caller_of, record_audit
from providers.base.errors import ConfigError
from providers.fields import Ciphertext
from providers.models import Provider
from providers.web.password_check import WRONG_PASSWORD, password_problem

PERMISSION = "providers.reveal_secret"
_NONCE = "ccproxy_reveal"


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def reveal(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for the password; after a right one, show the secret."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    provider = get_object_or_404(Provider, pk=pk)
    if not provider.secret:
        return _page(request, provider, problem="Nothing is stored for this provider.")
    if request.method != "POST":
        return _page(request, provider)
    if problem := _refusal(request, provider):
        return _page(request, provider, problem=problem, status=403)
    return _show(request, provider)


def _refusal(request: HttpRequest, provider: Provider) -> str:
    """Why the secret is not shown; "" when it may be."""
    expected = request.session.pop(_NONCE, "")
    if not expected or request.POST.get("once") != expected:
        return "This form was sent before. Give your password again."
    problem = password_problem(request.user, request.POST.get("password", ""), "reveal")
    if problem == WRONG_PASSWORD:
        record_audit(
            "reveal",
            f"provider {provider.name}",
            by=caller_of(request),
            outcome="refused",
            detail="password",
        )
    return problem


@sensitive_variables("secret")
def _show(request: HttpRequest, provider: Provider) -> HttpResponse:
    try:
        with audited("reveal", f"provider {provider.name}", by=caller_of(request)):
            secret = provider.secret.decrypt() if isinstance(provider.secret, Ciphertext) else ""
    except ConfigError as exc:
        return _page(request, provider, problem=str(exc), status=409)
    return _page(request, provider, secret=secret)


def _page(
    request: HttpRequest, provider: Provider, *, status: int = 200, **more: Any
) -> HttpResponse:
    once = ""
    if "secret" not in more and provider.secret:
        once = request.session[_NONCE] = secrets.token_urlsafe(16)
    context = {
        **admin.site.each_context(request),
        "title": f"Stored secret of {provider.name}",
        "provider": provider,
        "once": once,
        **more,
    }
    response = render(request, "admin/reveal.html", context, status=status)
    response["Cache-Control"] = "no-store"
    return response
