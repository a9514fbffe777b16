"""Admin of the operator's prices."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from unfold.admin import ModelAdmin

from providers.models import PriceOverride


@admin.register(PriceOverride)
class PriceOverrideAdmin(ModelAdmin):
    """Prices that override the built-in table. They count for requests that end from now on."""

    compressed_fields = True
    list_display = [
        "__str__",
        "input_usd",
        "output_usd",
        "cache_read_usd",
        "cache_write_usd",
        "enabled",
    ]
    list_editable = ["enabled"]
    search_fields = ["model", "provider", "comment"]

    def get_fieldsets(
        self, request: Any, obj: PriceOverride | None = None
    ) -> list[tuple[str | None, Any]]:
        return [
            (None, {"fields": ["model", "provider", "enabled", "position"]}),
            (
                "US dollars per million tokens",
                {
                    "fields": [
                        ("input_usd", "output_usd"),
                        ("cache_read_usd", "cache_write_usd", "cache_write_1h_usd"),
                    ],
                    "description": (
                        "They count for requests that end from now on; costs recorded before stay."
                    ),
                },
            ),
            (None, {"fields": ["comment"]}),
        ]
