"""Models of the console itself."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class LoginLink(models.Model):
    """A one-time login link.

    In the database, so that any process may make it and any other may redeem it.
    """

    token_sha256 = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"link for {self.user_id} until {self.expires_at:%H:%M:%S}"


class SentNotice(models.Model):
    """A notice, and what became of it on its way. The newest ones are kept."""

    made_at = models.DateTimeField(db_index=True)
    kind = models.CharField(max_length=16, help_text="Kind of event, or “test”.")
    key = models.CharField(
        max_length=250, blank=True, help_text="The event, where it is worth one notice."
    )
    text = models.TextField(help_text="The notice as one sentence.")
    count = models.PositiveIntegerField(
        default=1, help_text="Events that it stands for; more than one were held by the rate limit."
    )
    facts = models.JSONField(default=dict, help_text="The event's facts, as in the JSON body.")
    deliveries = models.JSONField(default=dict, help_text="Outcome by channel.")

    class Meta:
        verbose_name = "notice"
        ordering = ["-id"]
        indexes = [models.Index(fields=["kind", "key"], name="notice_key")]

    def __str__(self) -> str:
        return self.text
