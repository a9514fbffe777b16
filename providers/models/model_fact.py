"""The operator's own facts about models."""

from __future__ import annotations

from django.db import models

from providers.models.config_revision import ConfigManager
from providers.validation import validate_fact


class ModelFact(models.Model):
    """The operator's facts about models. They override those that ccproxy ships."""

    position = models.PositiveIntegerField(
        default=0, db_index=True, help_text="Later rows override earlier ones."
    )
    enabled = models.BooleanField(default=True)
    model = models.CharField(
        max_length=200,
        help_text="Name of the model as it is sent; * and ? stand for any text.",
    )
    host = models.CharField(
        max_length=253,
        blank=True,
        help_text="The provider's host; * and ? stand for any text. Blank: any host.",
    )
    facts = models.JSONField(
        help_text='Facts by name, such as {"refuses": ["temperature"], "max_output_tokens": 8192}.'
    )
    source = models.CharField(max_length=500, blank=True, help_text="Where the facts are from.")
    comment = models.TextField(blank=True)
    changed_at = models.DateTimeField(auto_now=True)

    objects = ConfigManager()

    class Meta:
        ordering = ["position", "id"]
        verbose_name = "model fact"

    def __str__(self) -> str:
        return f"{self.model} at {self.host or 'any host'}"

    def clean(self) -> None:
        validate_fact(self)
