"""Command that encrypts the stored credentials with a new key (`ccproxy rotatekey`)."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from providers.audit.log import audited, shell_caller
from providers.credentials.key_rotation import Rotation
from providers.management import parsers


class Command(BaseCommand):
    requires_system_checks = []
    needs_database = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.rotatekey(parser)

    def handle(self, *_: Any, keep_old: bool, verbosity: int, **options: Any) -> None:
        rotation = Rotation(Path(settings.CCPROXY_KEY_FILE), keep_old=keep_old)
        with audited("rotate-key", rotation.path.name, by=shell_caller()):
            for step in rotation.run():
                if verbosity > 1:
                    self.stderr.write(step)
        if options["json"]:
            report = {
                "encrypted": rotation.encrypted,
                "dropped": rotation.dropped,
                "resumed": rotation.resumed,
            }
            self.stdout.write(json.dumps(report))
            return
        values = "1 value" if rotation.encrypted == 1 else f"{rotation.encrypted} values"
        old = "The old key is still in the file." if keep_old else "The old key is gone."
        self.stdout.write(f"{values} encrypted with the new key. {old}")
