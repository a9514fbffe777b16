"""Print the completion of a shell (`ccproxy completion`)."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from ccproxy_site.management import parsers
from ccproxy_site.terminal.completion import completion_script


class Command(BaseCommand):
    """Print the script; `ccproxy completion` prints it without Django."""

    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.completion(parser)

    def handle(self, *_: Any, shell: str, **__: Any) -> None:
        self.stdout.write(completion_script(shell))
