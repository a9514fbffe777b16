"""Counts of wrong passwords."""

from __future__ import annotations

from django.db import models


class FailureCount(models.Model):
    """Count of recent wrong passwords for all processes of this database.

    See `providers.web.throttle`.
    """

    key = models.CharField(primary_key=True, max_length=64)
    failures = models.PositiveIntegerField(default=0)
    since = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.failures} failures"
