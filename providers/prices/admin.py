"""Admin of the operator's prices."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextInputWidget

from providers.models import PriceOverride
from providers.web.column import column


class PriceInput(UnfoldAdminTextInputWidget):
    """Field of a price, without zeros that say nothing: 3.000000 → "3"."""

    input_type = "number"

    def format_value(self, value: Any) -> str | None:
        return _price(value) if isinstance(value, Decimal) else value


@admin.register(PriceOverride)
class PriceOverrideAdmin(ModelAdmin):
    """Prices that override the built-in table. They count for requests that end from now on."""

    compressed_fields = True
    list_display = [
        "__str__",
        "input_price",
        "output_price",
        "cache_read_price",
        "cache_write_price",
        "enabled",
    ]
    list_editable = ["enabled"]
    search_fields = ["model", "provider", "comment"]

    @column("Input, $ per million tokens", ordering="input_usd")
    def input_price(self, row: PriceOverride) -> str:
        return _price(row.input_usd)

    @column("Output, $ per million tokens", ordering="output_usd")
    def output_price(self, row: PriceOverride) -> str:
        return _price(row.output_usd)

    @column("Cache read", ordering="cache_read_usd")
    def cache_read_price(self, row: PriceOverride) -> str:
        return _price(row.cache_read_usd)

    @column("Cache write", ordering="cache_write_usd")
    def cache_write_price(self, row: PriceOverride) -> str:
        return _price(row.cache_write_usd)

    def formfield_for_dbfield(
        self, db_field: Any, request: HttpRequest, **kw: Any
    ) -> forms.Field | None:
        field: forms.Field | None = super().formfield_for_dbfield(db_field, request, **kw)
        if isinstance(field, forms.DecimalField):
            field.widget = PriceInput(attrs={"step": "any", "min": "0"})
        return field

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


def _price(usd: Decimal | None) -> str:
    """Write a price without zeros that say nothing: 3.750000 → "3.75", 3.000000 → "3"."""
    return "–" if usd is None else f"{usd.normalize():f}"
