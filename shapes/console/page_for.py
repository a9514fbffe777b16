"""Decorators of the pages: staff with the rights of an act."""

from __future__ import annotations

from collections.abc import Callable

from django.views.decorators.http import require_http_methods, require_POST, require_safe

from flows.console.page_access import View, staff_page
from shapes.versions.rights import RIGHTS, Act


def page_for(act: Act) -> Callable[[View], View]:
    """Wrap a page that is only read, for staff with the rights of an act."""
    return lambda view: require_safe(staff_page(*RIGHTS[act])(view))


def form_for(act: Act) -> Callable[[View], View]:
    """Wrap a page that is read and sent back."""
    methods = require_http_methods(["GET", "HEAD", "POST"])
    return lambda view: methods(staff_page(*RIGHTS[act])(view))


def change_for(act: Act) -> Callable[[View], View]:
    """Wrap a view that changes something and leads back to a page."""
    return lambda view: require_POST(staff_page(*RIGHTS[act])(view))
