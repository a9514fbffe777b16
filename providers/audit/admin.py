"""Admin of the audit log. Read-only, also for superusers."""

from __future__ import annotations

from django.contrib import admin

from providers.models import AuditEntry
from providers.web.column import column
from providers.web.read_only_admin import ReadOnlyAdmin


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Audit entries, newest first."""

    list_display = ["at", "what", "target", "actor", "source", "address", "how", "detail"]
    list_display_links = ["at"]
    list_filter = ["action", "source", "outcome"]
    list_filter_submit = False
    search_fields = ["target", "actor", "address", "detail"]
    date_hierarchy = "at"

    @column("What", ordering="action")
    def what(self, entry: AuditEntry) -> str:
        return entry.get_action_display()

    @column(
        "Outcome",
        label={"done": "success", "begun": "info", "refused": "warning", "failed": "danger"},
    )
    def how(self, entry: AuditEntry) -> str:
        return entry.outcome
