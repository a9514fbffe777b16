"""Django application “jail”."""

from __future__ import annotations

from django.apps import AppConfig


class JailConfig(AppConfig):
    name = "jail"
    default_auto_field = "django.db.models.BigAutoField"
