"""Django application “shapes”."""

from __future__ import annotations

from django.apps import AppConfig


class ShapesConfig(AppConfig):
    name = "shapes"
    default_auto_field = "django.db.models.BigAutoField"
