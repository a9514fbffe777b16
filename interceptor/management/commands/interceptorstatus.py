"""Show the interceptor's status, or check its health (`ccproxy status`)."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from interceptor.management import parsers
from interceptor.operate.command_settings import settings_for_commands
from interceptor.operate.liveness import check
from interceptor.operate.status import print_table, status_report


class Command(BaseCommand):
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.interceptorstatus(parser)

    def handle(self, *_: Any, **options: Any) -> None:
        directory = Path(settings.CONFIG_DIR)
        commands = settings_for_commands(settings.CCPROXY, directory)
        flags = {name: options[name] for name in ("proxy", "inspect", "mcp")}
        if any(flags.values()):
            if code := check(commands, **flags):
                raise SystemExit(code)
            return
        report = status_report(commands, directory, settings.DATABASES["default"])
        if options["json"]:
            self.stdout.write(json.dumps(report, indent=2))
        else:
            print_table(report, self.stdout, is_terminal=self.stdout.isatty())
