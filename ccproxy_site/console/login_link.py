"""One-time login: a link that `ccproxy start` prints signs the local user in, once, within 15
minutes.

Opening the link shows a page with one button; only the button's POST signs in. A link that signed
in on GET would be burnt by anything that fetches ahead (a browser's preloading, a chat's preview),
and would let any page on the machine sign a browser in by pointing an image at it. The button has
the focus, so Enter is enough.

A link that `ccproxy run` offers is a file instead of a row (`interceptor.access.login_offer`).
"""

from __future__ import annotations

import hmac
import re
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Final

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from ccproxy_site.models import LoginLink
from interceptor.access.login_offer import (
    LIFETIME_S,
    LINK_FILE_NAME,
    LOGIN_PATH,
    is_offered,
    take_offer,
    token_digest,
)
from providers.base.private_file import write_private

LOCAL_USER = "admin"
LIFETIME = timedelta(seconds=LIFETIME_S)
_RUN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


def make_login_link(base_url: str) -> str:
    """Return a fresh link for the local superuser, who is created when there is none.

    `base_url` is the console's.
    """
    token = secrets.token_urlsafe(32)
    now = timezone.now()
    with transaction.atomic():
        LoginLink.objects.filter(expires_at__lt=now).delete()
        LoginLink.objects.create(
            token_sha256=token_digest(token), user=local_superuser(), expires_at=now + LIFETIME
        )
    return f"{base_url.rstrip('/')}/{LOGIN_PATH}/{token}/"


def write_login_file(directory: Path, base_url: str) -> Path:
    """Write a fresh one-time login link into a file that only its owner can read."""
    path = directory / LINK_FILE_NAME
    write_private(path, make_login_link(base_url) + "\n")
    return path


def local_superuser() -> User:
    """Return the superuser that links sign in.

    That is “admin”, else the first active one, else a new “admin” without a password.
    """
    users = User.objects
    active = users.filter(is_superuser=True, is_staff=True, is_active=True).order_by("pk")
    found = active.filter(username=LOCAL_USER).first() or active.first()
    if found is not None:
        return found
    # A plain or blocked account may hold the name: it is never promoted behind its owner's back.
    name = LOCAL_USER
    while users.filter(username=name).exists():
        name = f"{LOCAL_USER}-{secrets.token_hex(2)}"
    return users.create_superuser(username=name, password=None)


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def redeem(request: HttpRequest, token: str) -> HttpResponse:
    """Show the button; on POST, spend the link and sign in."""
    if request.method == "POST":
        user = _spend(token)
        if user is not None:
            login(request, user, backend="django.contrib.auth.backends.ModelBackend")
            return HttpResponseRedirect(page_behind(request))
    elif request.user.is_authenticated:
        return HttpResponseRedirect(page_behind(request))
    user = _user_of(token)
    context = {"user_name": user.get_username() if user else ""}
    # The site-wide Referrer-Policy keeps the token on this origin; a stricter one would blank the
    # Origin of the POST.
    return render(request, "ccproxy_site/login_link.html", context, status=200 if user else 410)


def page_behind(request: HttpRequest) -> str:
    """Return the page behind the login: the flows, of one run if the link names it."""
    flows = resolve_url(settings.LOGIN_REDIRECT_URL)
    run = request.GET.get("run", "")
    return f"{flows}?run={run}" if _RUN.fullmatch(run) else flows


def _spend(token: str) -> User | None:
    """Spend the link and return its user; None when another request was faster."""
    if take_offer(settings.CONFIG_DIR, token):
        return local_superuser()
    link = _find(token)
    if link is None:
        return None
    deleted, _ = LoginLink.objects.filter(pk=link.pk).delete()
    return link.user if deleted == 1 else None


def _user_of(token: str) -> User | None:
    """Return the user that a link would sign in, and None for one that is spent."""
    if is_offered(settings.CONFIG_DIR, token):
        return local_superuser()
    link = _find(token)
    return link.user if link else None


def _find(token: str) -> LoginLink | None:
    digest = token_digest(token)
    link = (
        LoginLink.objects.select_related("user")
        .filter(token_sha256=digest, expires_at__gt=timezone.now())
        .first()
    )
    if (
        link is None
        or not link.user.is_active
        or not hmac.compare_digest(link.token_sha256, digest)
    ):
        return None
    return link
