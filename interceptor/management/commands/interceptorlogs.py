"""Show the interceptor's log (`ccproxy logs`)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from interceptor.operate.logtail import add_arguments, log_file, show
from providers.base.errors import CcproxyError


class Command(BaseCommand):
    help = "Show the interceptor's log."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser)

    def handle(self, *_: Any, lines: int | None, follow: bool, **__: Any) -> None:
        try:
            path = log_file(settings.CCPROXY, Path(settings.CONFIG_DIR))
        except CcproxyError as exc:
            raise CommandError(str(exc)) from None
        show(path, sys.stdout.buffer, lines=lines, follow=follow)
