"""Captured requests of real clients: a table that later parts of the product fill and replay."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models


class Shape(models.Model):
    """A captured request of a real client, kept as data that the user supplied."""

    provider = models.CharField(max_length=64, db_index=True)
    version = models.PositiveIntegerField(default=1)
    enabled = models.BooleanField(
        default=False, help_text="Off until you switch it on; the provider's terms apply."
    )
    source_flow_id = models.CharField(max_length=36, blank=True)
    user_agent = models.CharField(max_length=255, blank=True)
    blob = models.BinaryField(default=bytes)
    notes = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["provider", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["provider", "version"], name="shape_version_once")
        ]

    def __str__(self) -> str:
        return f"{self.provider} v{self.version}"

    def clean(self) -> None:
        if self.enabled and not self.blob:
            raise ValidationError(
                {"enabled": "A shape without data cannot be enabled: capture it from a flow first."}
            )
