"""The auth board: the page that shows the state of every provider's credential."""

from __future__ import annotations

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from providers.credentials.credential_states import board_rows
from providers.credentials.reveal import PERMISSION as REVEAL_PERMISSION


def board(request: HttpRequest) -> HttpResponse:
    """Show the page."""
    if not request.user.has_perm("providers.view_provider"):
        raise PermissionDenied
    context = {
        **admin.site.each_context(request),
        "title": "Credentials",
        "rows": board_rows(timezone.now()),
        "may_test": request.user.has_perm("providers.change_provider"),
        "may_reveal": request.user.has_perm(REVEAL_PERMISSION),
    }
    return render(request, "admin/auth_board.html", context)
