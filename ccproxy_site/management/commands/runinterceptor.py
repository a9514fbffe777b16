"""`ccproxy start`: the recorder, the proxies and the console, in the foreground until a signal."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, NoReturn

from django.core.management.base import BaseCommand

from ccproxy_site.management import parsers
from ccproxy_site.supervise.become import become_supervisor


class Command(BaseCommand):
    """Become the supervisor of the installation's processes."""

    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.runinterceptor(parser)

    def handle(self, *args: Any, **options: Any) -> NoReturn:
        become_supervisor(
            workers=options["workers"],
            no_console=options["no_console"],
            allow_code_config=options["allow_code_config"],
        )
