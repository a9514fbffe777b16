"""Decorators of the pages: staff with the rights of an act."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from flows.console.pages import View, staff_page
from shapes.versions.rights import RIGHTS, Act


def page_for(act: Act) -> Callable[[View], View]:
    """Wrap a page that is only read, for staff with the rights of an act."""
    return lambda view: require_safe(staff_page(_checked(view, act)))


def form_for(act: Act) -> Callable[[View], View]:
    """Wrap a page that is read and sent back."""
    methods = require_http_methods(["GET", "HEAD", "POST"])
    return lambda view: methods(staff_page(_checked(view, act)))


def change_for(act: Act) -> Callable[[View], View]:
    """Wrap a view that changes something and leads back to a page."""
    return lambda view: require_POST(staff_page(_checked(view, act)))


def _checked(view: View, act: Act) -> View:
    rights = RIGHTS[act]

    @wraps(view)
    def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.has_perms(rights):
            raise PermissionDenied(f"This page needs the rights {', '.join(rights)}.")
        return view(request, *args, **kwargs)

    return page
