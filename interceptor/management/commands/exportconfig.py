"""Write the configuration as a `ccproxy.yaml`, without secrets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from interceptor.config.files.document import read_document
from interceptor.config.files.server import CONFIG_FILE_NAME
from interceptor.config.transfer.database import ensure_database
from interceptor.config.transfer.exporter import export_config


class Command(BaseCommand):
    help = "Write the settings, providers, rules and hooks as a ccproxy.yaml, without secrets."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="?", metavar="FILE", help="default: standard output")

    def handle(self, *_: Any, file: str | None, **__: Any) -> None:
        ensure_database()
        text = export_config(read_document(Path(settings.CONFIG_DIR) / CONFIG_FILE_NAME))
        if file is None or file == "-":
            self.stdout.write(text, ending="")
            return
        path = Path(file).expanduser()
        try:
            with open(
                path, "w", opener=lambda p, flags: os.open(p, flags, 0o600), encoding="utf-8"
            ) as output:
                output.write(text)
        except OSError as exc:
            raise CommandError(f"cannot write {path}: {exc.strerror}") from None
        self.stderr.write(f"Wrote {path}")
