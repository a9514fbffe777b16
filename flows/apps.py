"""Configuration of the Django application “flows”."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate

from flows.writer.postgres_storage import set_column_storage


class FlowsConfig(AppConfig):
    name = "flows"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Set PostgreSQL's storage options after every migration."""
        post_migrate.connect(set_column_storage, sender=self)
