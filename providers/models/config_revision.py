"""The revision of the configuration, and the manager of models that belong to it."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import F


class ConfigRevision(models.Model):
    """One row whose number grows with every change of the proxy's configuration."""

    number = models.PositiveBigIntegerField(default=1)
    changed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"revision {self.number}"

    @classmethod
    def bump(cls) -> None:
        """Raise the number. Running interceptors notice within a second."""
        if not cls.objects.filter(pk=1).update(number=F("number") + 1):
            cls.objects.get_or_create(pk=1)

    @classmethod
    def current(cls) -> int:
        """Return the number of the newest configuration."""
        return cls.objects.get_or_create(pk=1)[0].number


class ConfigQuerySet(models.QuerySet[Any]):
    """Queryset whose bulk writes bump the revision too; they send no signals."""

    def update(self, **kwargs: Any) -> int:
        rows = super().update(**kwargs)
        ConfigRevision.bump()
        return rows

    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> list[Any]:
        made = super().bulk_create(objs, *args, **kwargs)
        ConfigRevision.bump()
        return made

    def bulk_update(self, objs: Any, *args: Any, **kwargs: Any) -> int:
        rows = super().bulk_update(objs, *args, **kwargs)
        ConfigRevision.bump()
        return rows

    def delete(self) -> tuple[int, dict[str, int]]:
        gone = super().delete()
        ConfigRevision.bump()
        return gone


ConfigManager = models.Manager.from_queryset(ConfigQuerySet)
