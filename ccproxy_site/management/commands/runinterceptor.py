"""`ccproxy start`: the recorder, the proxies and the console, in the foreground until a signal."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError

from ccproxy_site.management import parsers


class Command(BaseCommand):
    """Become the supervisor of the installation's processes."""

    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.runinterceptor(parser)

    def handle(self, *args: Any, **options: Any) -> NoReturn:
        if options["workers"] < 1:
            raise CommandError("--workers wants a number from 1 on")
        environ = dict(os.environ)
        if options["allow_code_config"]:
            environ["CCPROXY_ALLOW_CODE_CONFIG"] = "1"
        arguments = ["--workers", str(options["workers"])]
        if options["no_console"]:
            arguments.append("--no-console")
        # The supervisor lives for as long as the installation, and needs none of Django's memory.
        command = [sys.executable, "-P", "-m", "ccproxy_site.supervise", *arguments]
        os.execve(sys.executable, command, environ)  # noqa: S606  # no shell is wanted
