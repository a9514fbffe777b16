"""Django application “ccproxy_site”, for what belongs to no other application."""

from __future__ import annotations

from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "ccproxy_site"
    verbose_name = "ccproxy"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.conf import settings

        from ccproxy_site import checks  # noqa: F401  # registers them

        if not settings.CELERY_TASK_ALWAYS_EAGER:
            # Tasks that this process hands out must reach the broker of this app.
            from ccproxy_site import celery  # noqa: F401
