"""Page of the newest notices, read only, with a button that sends a sample."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from ccproxy_site.models import SentNotice
from ccproxy_site.notices.notice_limiter import KIND_WORDS
from ccproxy_site.notices.sample import NO_CHANNEL, send_sample
from providers.base.nearest import capitalised
from providers.web.column import column
from providers.web.json_lines import json_lines
from providers.web.read_only_admin import ReadOnlyAdmin

TEST_RIGHT = "providers.change_provider"
"""Right to send a sample: it goes out of this machine, and may start the command."""


@require_POST
def send_test(request: HttpRequest) -> HttpResponse:
    """Send a sample by each channel, and say what happened."""
    if not request.user.has_perm(TEST_RIGHT):
        raise PermissionDenied
    outcomes = send_sample(settings.CCPROXY)
    if not outcomes:
        messages.warning(request, NO_CHANNEL)
    for name, outcome in outcomes.items():
        say = messages.success if outcome.is_delivered else messages.error
        say(request, f"{name}: {outcome.text}")
    return redirect("admin:ccproxy_site_sentnotice_changelist")


@admin.register(SentNotice)
class SentNoticeAdmin(ReadOnlyAdmin):
    """Notices, read only."""

    list_before_template = "admin/notices_above.html"
    list_display = ["made_at", "shown_kind", "shown", "count", "shown_deliveries"]
    list_display_links = ["made_at"]
    list_filter = ["kind"]
    ordering = ["-made_at", "-id"]
    search_fields = ["text"]
    fields = ["made_at", "shown_kind", "shown", "count", "shown_facts", "shown_deliveries"]

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        own = [path("test/", view(send_test), name="ccproxy_site_sentnotice_test")]
        return [*own, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        context = {
            **(extra_context or {}),
            "title": "Notices",
            "notice_kinds": [_kind_word(kind) for kind in settings.CCPROXY.notices.kinds],
            "may_test": request.user.has_perm(TEST_RIGHT),
        }
        return super().changelist_view(request, context)

    @column("Kind", ordering="kind")
    def shown_kind(self, row: SentNotice) -> str:
        return _kind_word(row.kind)

    @column("Notice")
    def shown(self, row: SentNotice) -> SafeString | str:
        flow = row.facts.get("flow")
        # Other sentences begin with a name or a method.
        text = capitalised(row.text) if row.text.startswith("the ") else row.text
        if not isinstance(flow, str):
            return text
        address = reverse("flows:detail", args=[flow])
        return format_html('<a class="cc-link" href="{}">{}</a>', address, text)

    @column("Facts")
    def shown_facts(self, row: SentNotice) -> SafeString | str:
        return json_lines(row.facts)

    @column("Deliveries")
    def shown_deliveries(self, row: SentNotice) -> str:
        found = [f"{name}: {text}" for name, text in row.deliveries.items()]
        return ", ".join(found) or "shown here alone"


def _kind_word(kind: str) -> str:
    """Return a kind for people: "cache_break" → "cache break"; another one as it is."""
    return KIND_WORDS.get(kind, (kind, ""))[0]
