"""The operator's own prices."""

from __future__ import annotations

from typing import Any

from django.core.validators import MinValueValidator
from django.db import models

_PRICE: dict[str, Any] = {
    "max_digits": 12,
    "decimal_places": 6,
    "validators": [MinValueValidator(0)],
}
_AS_INPUT = "Blank: as input."


class PriceOverride(models.Model):
    """The operator's price in US dollars per million tokens; overrides the built-in table."""

    position = models.PositiveIntegerField(
        default=0, db_index=True, help_text="The first that matches is used."
    )
    enabled = models.BooleanField(default=True)
    provider = models.CharField(
        max_length=64,
        blank=True,
        help_text="Name of the provider; * and ? stand for any text. Blank: any provider.",
    )
    model = models.CharField(
        max_length=200,
        help_text=(
            "Name of the model as it is sent, such as “claude-haiku-*”; * and ? stand for text."
        ),
    )
    input_usd = models.DecimalField("input, $ per million tokens", **_PRICE)
    output_usd = models.DecimalField("output, $ per million tokens", **_PRICE)
    cache_read_usd = models.DecimalField(
        "cache read", **_PRICE, null=True, blank=True, help_text=_AS_INPUT
    )
    cache_write_usd = models.DecimalField(
        "cache write", **_PRICE, null=True, blank=True, help_text=_AS_INPUT
    )
    cache_write_1h_usd = models.DecimalField(
        "cache write, kept for an hour",
        **_PRICE,
        null=True,
        blank=True,
        help_text="Blank: as a cache write.",
    )
    comment = models.TextField(blank=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["position", "id"]
        verbose_name = "price"

    def __str__(self) -> str:
        return f"{self.model} at {self.provider or 'any provider'}"
