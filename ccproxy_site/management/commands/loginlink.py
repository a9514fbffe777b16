"""`ccproxy login`: a fresh one-time link into the console."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from ccproxy_site.console.login_link import make_login_link
from ccproxy_site.management import parsers
from interceptor.config.transfer.database import ensure_database
from interceptor.instances.health import running_console_url


class Command(BaseCommand):
    """Print a link that signs you in once, within 15 minutes."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.loginlink(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        ensure_database()
        served = running_console_url()
        if not served:
            self.stderr.write(
                "No console is running here. Start one (ccproxy start) before you open the link."
            )
        self.stdout.write(make_login_link(served or settings.CCPROXY.console_url))
