"""Django application “interceptor”."""

from __future__ import annotations

import sys

from django.apps import AppConfig
from django.conf import settings


class InterceptorConfig(AppConfig):
    name = "interceptor"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from interceptor.config.snapshot import signals

        signals.connect()
        # A user's own hooks are files in the config directory, named by dotted path in a setting.
        sys.path.append(str(settings.CONFIG_DIR / "hooks"))
