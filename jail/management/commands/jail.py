"""Command that runs a program in a jail (`ccproxy jail`).

`manage.py` and `ccproxy` run it before Django is loaded; this is for `call_command` and for
Django's list of commands.
"""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from jail.command import COMMANDS


class Command(BaseCommand):
    help = "Run a command and capture everything it sends."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("words", nargs=argparse.REMAINDER)

    def handle(self, *_: Any, words: list[str], **__: Any) -> None:
        code = COMMANDS["jail"](words, prog="manage.py jail")
        if code:
            raise SystemExit(code)
