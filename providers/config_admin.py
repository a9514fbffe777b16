"""Base of the configuration's admin pages. A save reports the revision that carries it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from unfold.admin import ModelAdmin

from providers.forms import ShortTextarea, StrictJSONField
from providers.models import ConfigRevision

if TYPE_CHECKING:
    _RowForm = forms.ModelForm[models.Model]
else:
    _RowForm = forms.ModelForm


class ListRowForm(_RowForm):
    """One row of an admin list whose columns can be edited.

    The model checks the complete row. Errors of fields that the list lacks appear above the row.
    """

    def add_error(self, field: str | None, error: Any) -> None:
        by_field = getattr(error, "error_dict", None)
        if field is not None or by_field is None:
            super().add_error(field, error)
            return
        for name, errors in by_field.items():
            if name in self.fields or name == NON_FIELD_ERRORS:
                super().add_error(None, ValidationError({name: errors}))
                continue
            label = name.replace("_", " ").capitalize()
            for text in ValidationError(errors).messages:
                super().add_error(None, f"{label}: {text}")


class ConfigModelAdmin(ModelAdmin):
    """A model admin whose success messages name the revision that carries the change."""

    compressed_fields = True
    warn_unsaved_form = True
    list_filter_sheet = False
    formfield_overrides = {
        models.JSONField: {"form_class": StrictJSONField, "widget": ShortTextarea}
    }

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Lead to the row's entries of the audit log, which has the changes of every way.

        The admin's own history knows nothing of commands, imports and REST.
        """
        row = self.get_object(request, unquote(object_id))
        may_read = request.user.has_perm("providers.view_auditentry")
        if row is None or not may_read or not self.has_view_permission(request, row):
            reply: HttpResponse = super().history_view(request, object_id, extra_context)
            return reply
        query = urlencode({"q": f"{self.opts.verbose_name} {row}"})
        return redirect(f"{reverse('admin:providers_auditentry_changelist')}?{query}")

    def get_changelist_form(
        self, request: HttpRequest, **kwargs: Any
    ) -> type[forms.ModelForm[Any]]:
        kwargs.setdefault("form", ListRowForm)
        found: type[forms.ModelForm[Any]] = super().get_changelist_form(request, **kwargs)
        return found

    def formfield_for_dbfield(
        self, db_field: Any, request: HttpRequest, **kw: Any
    ) -> forms.Field | None:
        """Name fields that lists show without a label."""
        field: forms.Field | None = super().formfield_for_dbfield(db_field, request, **kw)
        if field is not None and db_field.name in self.list_editable:
            field.widget.attrs.setdefault("aria-label", db_field.verbose_name.capitalize())
        return field

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
    """Return the names of the rows this request saved."""
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
    """Show a new token, once.

    A page and not a message, because messages travel in a cookie.
    """
    response = render(request, "admin/token_created.html", context)
    response["Cache-Control"] = "no-store"
    return response
