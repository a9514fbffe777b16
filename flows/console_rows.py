"""Models of what people keep in the console: saved filters, and requests sent again."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import ProhibitNullCharactersValidator
from django.db import models


class SavedFilter(models.Model):
    """Named filters of the flow list, private or shared with all users of the console."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=60, validators=[ProhibitNullCharactersValidator()])
    query = models.CharField(
        max_length=4000, help_text="Query of the list's address: provider=local&status=5xx"
    )
    shared = models.BooleanField(
        default=False, help_text="All users may apply it; only its owner changes it."
    )

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "name"],
                name="one_filter_per_name",
                violation_error_message="You have saved a filter with this name already.",
            )
        ]

    def __str__(self) -> str:
        return self.name


class Resend(models.Model):
    """A recorded request that a user sent again: its grant, and its result.

    Flows are referred to by id alone: they may be deleted without it.
    """

    ticket = models.CharField(primary_key=True, max_length=32)
    token_sha256 = models.CharField(max_length=64, unique=True)
    flow_id = models.CharField(max_length=36, db_index=True, help_text="Flow that was sent again.")
    new_flow_id = models.CharField(
        max_length=36,
        blank=True,
        db_index=True,
        help_text="New flow; set when the grant is used.",
    )
    as_forwarded = models.BooleanField(default=False)
    edited = models.BooleanField(default=False)
    provider = models.CharField(max_length=64, blank=True)
    origin = models.CharField(max_length=300, blank=True)
    session_id = models.CharField(max_length=200, blank=True)
    actor = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(db_index=True)
    expires_at = models.DateTimeField()
    problem = models.TextField(blank=True, help_text="Reason why there is no new flow.")

    class Meta:
        ordering = ["created_at", "ticket"]

    def __str__(self) -> str:
        return f"{self.flow_id} again"

    @property
    def manner(self) -> str:
        """Manner of sending, for a sentence."""
        how = "as forwarded" if self.as_forwarded else "as the client sent it"
        return f"{how}, edited" if self.edited else how
