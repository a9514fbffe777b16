"""Transform rules: requests that go elsewhere than their sentinel key says."""

from __future__ import annotations

from django.db import models

from providers.base.names import RULE_ACTIONS, SERVER_TOOLS
from providers.models.config_revision import ConfigManager
from providers.models.provider import Provider
from providers.validation import validate_rule


class TransformRule(models.Model):
    """Override of sentinel routing. The first enabled rule whose conditions all match decides."""

    position = models.PositiveIntegerField(
        default=0, db_index=True, help_text="Rules are tried in ascending order."
    )
    enabled = models.BooleanField(default=True)
    name = models.CharField(max_length=100, blank=True)
    action = models.CharField(
        max_length=16, choices={a: a for a in RULE_ACTIONS}, default="redirect"
    )
    match_host = models.CharField(
        max_length=1000,
        blank=True,
        help_text="Regular expression (RE2), searched in the host. Blank: any host.",
    )
    match_path = models.CharField(
        max_length=1000, blank=True, default=".*", help_text="Searched in the path with its query."
    )
    match_model = models.CharField(
        max_length=1000, blank=True, help_text="Searched in the body's model."
    )
    dest_provider = models.ForeignKey(
        Provider, on_delete=models.PROTECT, null=True, blank=True, related_name="rules"
    )
    dest_host = models.CharField(
        max_length=253, blank=True, help_text="Raw host; overrides the provider's."
    )
    dest_path = models.CharField(
        max_length=512, blank=True, help_text="Raw path template; overrides the provider's."
    )
    dest_model = models.CharField(
        max_length=200, blank=True, help_text="Model name for the provider; replaces the client's."
    )
    dest_vertex_project = models.CharField(max_length=100, blank=True)
    dest_vertex_location = models.CharField(max_length=64, blank=True)
    server_tools = models.CharField(
        max_length=16,
        blank=True,
        choices=SERVER_TOOLS,
        help_text="As of a provider; blank: as the provider says.",
    )
    fallbacks = models.JSONField(
        default=list,
        blank=True,
        help_text="Who gets a request that failed, in order; blank: as the provider says.",
    )
    retry = models.JSONField(
        default=dict,
        blank=True,
        help_text="Retries of failed requests, as of a provider; blank: as the provider says.",
    )
    comment = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    objects = ConfigManager()

    class Meta:
        verbose_name = "rule"
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.name or f"rule {self.pk}"

    def clean(self) -> None:
        validate_rule(self)
