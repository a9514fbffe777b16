"""States of logins."""

from __future__ import annotations

from django.db import models

from providers.fields import EncryptedTextField


class CredentialState(models.Model):
    """State of a login that all processes and machines of this database share.

    On PostgreSQL the row is also the lock: the process that renews the login holds it. Times are
    unknown until they happen.
    """

    key = models.CharField(primary_key=True, max_length=64)  # SHA-256 of the login's kind and file
    tokens = EncryptedTextField(
        blank=True, default="", help_text="The newest tokens, by their position in the file."
    )
    current = models.CharField(max_length=64, blank=True)
    ancestors = models.JSONField(
        default=list, help_text="Fingerprints of the refresh tokens the newest came from."
    )
    machine = models.CharField(max_length=255, blank=True)
    refreshed_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    not_before = models.DateTimeField(null=True)
    refused = models.CharField(max_length=64, blank=True)
    error = models.TextField(blank=True)
    tried_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"login {self.key[:8]}"
