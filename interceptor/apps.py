"""Django application “interceptor”."""

from __future__ import annotations

from django.apps import AppConfig


class InterceptorConfig(AppConfig):
    name = "interceptor"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from interceptor.config import signals

        signals.connect()
