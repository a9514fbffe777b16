"""`ccproxy start`: the recorder, the proxies and the console, in the foreground until a signal."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """Become the supervisor of the installation's processes."""

    help = "Run the proxy (port 4000) and the console (port 8083) in the foreground."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-console", action="store_true", help="run the proxy alone")
        parser.add_argument(
            "--workers",
            type=int,
            default=1,
            metavar="N",
            help=(
                "proxy processes that share the port (default 1); as many as cores for heavy"
                " traffic"
            ),
        )
        parser.add_argument(
            "--allow-code-config",
            action="store_true",
            help="let the console and the API set commands and hook paths, which run code",
        )

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
