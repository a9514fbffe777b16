"""The admin's theme as an application, without databases and clients that ccproxy never uses here.

The theme and Django's REST framework try to import what some of their users have. django.contrib's
PostgreSQL fields load psycopg (10 MB), the REST framework's test client loads requests (5 MB).
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

from unfold.apps import DefaultAppConfig

from providers.base.left_out import left_out

NEVER_USED: Final = (
    "django.contrib.postgres.fields",
    "django.contrib.postgres.search",
    "requests",
    "pygments",
)


class UnfoldConfig(DefaultAppConfig):
    """The first application: its `ready` runs before the admin imports the others' pages."""

    default = False

    def ready(self) -> None:
        """Load the modules that try optional imports, then set up the admin's site."""
        with left_out(*NEVER_USED):
            for name in ("rest_framework.compat", "unfold.overrides"):
                import_module(name)
        super().ready()
