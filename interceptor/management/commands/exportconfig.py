"""Write the configuration as a `ccproxy.yaml`, without secrets."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from interceptor.config.files.directory import CONFIG_FILE_NAME
from interceptor.config.files.document import read_document
from interceptor.config.transfer.database import ensure_database
from interceptor.config.transfer.exporter import export_config
from interceptor.management import parsers


class Command(BaseCommand):
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.exportconfig(parser)

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
