"""The admin of everything the proxy is configured by: a save says when it is live."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from unfold.admin import ModelAdmin

from providers.forms import ShortTextarea, StrictJSONField
from providers.models import ConfigRevision


class ConfigModelAdmin(ModelAdmin):
    """A model admin whose success messages name the revision that carries the change."""

    compressed_fields = True
    warn_unsaved_form = True
    list_filter_sheet = False
    formfield_overrides = {
        models.JSONField: {"form_class": StrictJSONField, "widget": ShortTextarea}
    }

    def save_model(self, request: HttpRequest, obj: models.Model, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        _saved(request).append(str(obj))

    def message_user(
        self, request: HttpRequest, message: Any, level: Any = messages.INFO, *args: Any, **kw: Any
    ) -> None:
        if level == messages.SUCCESS:
            message = _live_message(_saved(request)) or message
        super().message_user(request, message, level, *args, **kw)


def _saved(request: HttpRequest) -> list[str]:
    """The names of the rows this request saved."""
    names: list[str] = request.__dict__.setdefault("ccproxy_saved_rows", [])
    return names


def _live_message(saved: list[str]) -> str:
    if not saved:
        return ""
    what = f"“{saved[0]}”" if len(saved) == 1 else f"{len(saved)} changes"
    # The revision is bumped once per row when the transaction commits, which is after this message
    # in a form view.
    pending = len(saved) if transaction.get_connection().in_atomic_block else 0
    return f"Saved {what}. Live in a second (revision {ConfigRevision.current() + pending})."


def token_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Show a new token, once. A page rather than a message: messages travel in a cookie."""
    response = render(request, "admin/token_created.html", context)
    response["Cache-Control"] = "no-store"
    return response
