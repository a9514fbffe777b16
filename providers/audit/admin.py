"""Admin of the audit log. Read-only, also for superusers."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from providers.models import AuditEntry
from providers.web.column import column


@admin.register(AuditEntry)
class AuditEntryAdmin(ModelAdmin):
    """Audit entries, newest first."""

    list_display = ["at", "what", "target", "actor", "source", "address", "how", "detail"]
    list_display_links = ["at"]
    list_filter = ["action", "source", "outcome"]
    list_filter_submit = False
    search_fields = ["target", "actor", "address", "detail"]
    date_hierarchy = "at"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @column("What", ordering="action")
    def what(self, entry: AuditEntry) -> str:
        return entry.get_action_display()

    @column(
        "Outcome",
        label={"done": "success", "begun": "info", "refused": "warning", "failed": "danger"},
    )
    def how(self, entry: AuditEntry) -> str:
        return entry.outcome
