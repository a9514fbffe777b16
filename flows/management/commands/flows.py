"""Look at the recorded flows (`ccproxy flows`). Works without a running proxy."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from importlib import import_module
from typing import Any, Final

from django.core.management.base import BaseCommand

from flows.management import parsers

ACTIONS: Final = {
    "list": "listing",
    "dump": "dump",
    "diff": "comparing",
    "compare": "comparing",
    "clear": "clearing",
    "pin": "pinning",
    "unpin": "pinning",
    "as": "copying",
    "export": "exporting",
    "import": "importing",
    "repl": "shell",
}
"""Action → module of `flows.management.actions`, whose `run` performs it."""


class Command(BaseCommand):
    """The subcommands of `ccproxy flows`."""

    requires_system_checks = []
    needs_database = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.flows(parser)

    def handle(self, *_: Any, action: str, **options: Any) -> None:
        module = import_module(f"flows.management.actions.{ACTIONS[action]}")
        module.run(self, Namespace(action=action, among=None, **options))
