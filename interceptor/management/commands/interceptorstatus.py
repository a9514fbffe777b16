"""Show the interceptor's status, or check its health (`ccproxy status`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from interceptor.operate.liveness import add_check_arguments, check
from interceptor.operate.status import print_table, status_report


class Command(BaseCommand):
    help = (
        "Show the interceptor's status. With check flags: no output, the exit code is the sum of"
        " what is down."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="machine-readable output")
        add_check_arguments(parser)

    def handle(self, *_: Any, **options: Any) -> None:
        flags = {name: options[name] for name in ("proxy", "inspect", "mcp")}
        if any(flags.values()):
            if code := check(settings.CCPROXY, **flags):
                raise SystemExit(code)
            return
        report = status_report(settings.CCPROXY, Path(settings.CONFIG_DIR))
        if options["json"]:
            self.stdout.write(json.dumps(report, indent=2))
        else:
            print_table(report, self.stdout, is_terminal=self.stdout.isatty())
