"""Show the interceptor's log (`ccproxy logs`)."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from interceptor.management import parsers
from interceptor.operate.logtail import log_file, show
from providers.base.errors import CcproxyError


class Command(BaseCommand):
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.interceptorlogs(parser)

    def handle(self, *_: Any, lines: int | None, follow: bool, **__: Any) -> None:
        try:
            path = log_file(settings.CCPROXY, Path(settings.CONFIG_DIR))
        except CcproxyError as exc:
            raise CommandError(str(exc)) from None
        show(path, sys.stdout.buffer, lines=lines, follow=follow)
