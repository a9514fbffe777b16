"""Admin of rows that the product alone writes: read-only, also for superusers."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin


class ReadOnlyAdmin(ModelAdmin):
    """Base of the admin pages on which nothing is added, changed or deleted."""

    def render_change_form(self, request: HttpRequest, context: Any, **kwargs: Any) -> HttpResponse:
        """Offer no history: the product alone writes these rows, once."""
        reply: HttpResponse = super().render_change_form(
            request, {**context, "show_history": False}, **kwargs
        )
        return reply

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
