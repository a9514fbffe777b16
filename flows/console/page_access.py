"""Decorators that say who may open a page of the console."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

View = Callable[..., HttpResponseBase]


def console_page(*rights: str) -> Callable[[View], View]:
    """Wrap a view of a page that is only read. See `staff_page`."""
    return lambda view: require_safe(staff_page(*rights)(view))


def staff_page(*rights: str) -> Callable[[View], View]:
    """Wrap a view for staff with all of these rights (`app.codename`), never kept by a cache.

    The middleware sends visitors without a login to the login page before. The view's `rights`
    are what a test of all pages reads.
    """

    def wrap(view: View) -> View:
        @wraps(view)
        def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            require_rights(request, rights)
            response = view(request, *args, **kwargs)
            response["Cache-Control"] = "private, no-store"
            # The same address answers htmx with a part of the page.
            patch_vary_headers(response, ["HX-Request"])
            return response

        page.rights = rights  # type: ignore[attr-defined]  # a function's own attribute
        return page

    return wrap


def require_rights(request: HttpRequest, rights: tuple[str, ...]) -> None:
    """Refuse a visitor who is not staff or lacks a right.

    Raises:
        PermissionDenied: one sentence for the visitor.
    """
    if not request.user.is_staff:
        raise PermissionDenied(
            "The console is for staff: ask an administrator to tick “Staff status”."
        )
    missing = [right for right in rights if not request.user.has_perm(right)]
    if missing:
        raise PermissionDenied(
            f"This needs the right {missing[0]}, which you do not have: ask an administrator."
        )


def wants_part(request: HttpRequest) -> bool:
    """Check whether htmx asks for a part of a page rather than for all of it."""
    htmx = request.htmx  # type: ignore[attr-defined]
    # A browser that goes back asks for the page again, and needs all of it.
    return bool(htmx) and not htmx.history_restore_request
