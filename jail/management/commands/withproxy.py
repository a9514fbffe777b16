"""Command that runs a program with SDKs pointed at the proxy (`ccproxy run`)."""

from __future__ import annotations

import argparse
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from jail.withproxy import main


class Command(BaseCommand):
    help = "Run a command with ANTHROPIC_BASE_URL, OPENAI_BASE_URL and their kin set to the proxy."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "-i", "--inspect", action="store_true", help="capture everything the command sends"
        )
        parser.add_argument("-q", "--quiet", action="store_true", help="say nothing")
        parser.add_argument("--print", action="store_true", help="print what would be set")
        parser.add_argument(
            "--stored", action="store_true", help="use stored keys and rules, not the command's key"
        )
        parser.add_argument(
            "--forward", action="store_true", help="set HTTPS_PROXY instead of base URLs"
        )
        parser.add_argument(
            "--all", action="store_true", help="with --forward: read the traffic with all hosts"
        )
        parser.add_argument("--open", action="store_true", help="open the browser at the flows")
        parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")

    def handle(self, *_: Any, command: list[str], **options: Any) -> None:
        names = ("inspect", "quiet", "print", "stored", "forward", "all", "open")
        given = [f"--{name}" for name in names if options[name]]
        code = main([*given, *command], lambda: settings.DATABASES["default"])
        if code:
            raise SystemExit(code)
