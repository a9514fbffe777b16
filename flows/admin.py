"""Admin pages of the record, read only; the console's own pages show single flows."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

from flows.display import units
from flows.display.safe_text import printable
from flows.failure import has_failed
from flows.models import Flow
from providers.web.column import column


@admin.register(Flow)
class FlowAdmin(ModelAdmin):
    """Narrow list that links to the flow pages.

    It never counts: the table may hold a million rows.
    """

    list_display = ["when", "what", "model_names", "provider_name", "status", "took"]
    list_display_links = None
    list_filter = ["state", "is_stream"]
    list_filter_sheet = False
    search_fields = ["=id", "session_id__startswith"]
    search_help_text = "A flow id or the beginning of a session id. Search everything under Flows."
    ordering = ["-started_at", "-id"]
    paginator = InfinitePaginator
    show_full_result_count = False
    # The paginator does not count, so the number behind “all” would be a guess.
    list_disable_select_all = True
    list_per_page = 50
    actions = ["delete_selected"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Flow]:
        queryset: QuerySet[Flow] = super().get_queryset(request)
        return queryset.defer("search_text", "route", "losses", "client_url", "forwarded_url")

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Flow | None:
        """Return the flow with its texts made safe to display; nothing here saves it."""
        flow: Flow | None = super().get_object(request, object_id, from_field)
        if flow is None:
            return None
        for field in Flow._meta.concrete_fields:
            value = getattr(flow, field.attname)
            if not field.primary_key and isinstance(value, str | list):
                setattr(flow, field.attname, _displayable(value))
        return flow

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @column("Time (UTC)")
    def when(self, flow: Flow) -> SafeString:
        return format_html(
            '<a class="cc-link" href="/flows/{}/">{}</a>',
            flow.pk,
            flow.started_at.strftime("%d %b %H:%M:%S"),
        )

    @column("Request")
    def what(self, flow: Flow) -> SafeString:
        path = flow.path if len(flow.path) <= 60 else flow.path[:59] + "…"
        return format_html(
            '<span class="cc-mono">{} {}{}</span>',
            printable(flow.method),
            printable(flow.host),
            printable(path),
        )

    @column("Model")
    def model_names(self, flow: Flow) -> str:
        requested = flow.requested_model or units.UNKNOWN
        if flow.sent_model and flow.sent_model != flow.requested_model:
            return printable(f"{requested} → {flow.sent_model}")
        return printable(requested)

    @column("Provider", ordering="provider")
    def provider_name(self, flow: Flow) -> str:
        return printable(flow.provider) or units.UNKNOWN

    @column("Status", label={"ok": "success", "failed": "danger", "live": "info"})
    def status(self, flow: Flow) -> tuple[str, str]:
        if flow.state == Flow.State.LIVE:
            return "live", "live"
        if has_failed(flow):
            return "failed", units.status_words(flow.status_code, failed=True)
        return "ok", units.status_words(flow.status_code, failed=False)

    @column("Took")
    def took(self, flow: Flow) -> str:
        return units.duration(flow.duration_ms)


def _displayable(value: Any) -> Any:
    """Return a text, or texts in lists, with invisible characters written as escapes."""
    if isinstance(value, list):
        return [_displayable(inner) for inner in value]
    return printable(value) if isinstance(value, str) else value
