"""Keep captured requests of reference clients as versions (`ccproxy shapes`)."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from importlib import import_module
from typing import Any, Final

from django.core.management.base import BaseCommand

from interceptor.management import parsers

ACTIONS: Final = {
    "save": "shapes.management.actions.saving",
    "list": "shapes.management.actions.looking",
    "show": "shapes.management.actions.looking",
    "diff": "shapes.management.actions.looking",
    "audit": "shapes.management.actions.auditing",
    "acknowledge": "shapes.management.actions.changing",
    "activate": "shapes.management.actions.changing",
    "deactivate": "shapes.management.actions.changing",
    "clear": "shapes.management.actions.changing",
    "import": "shapes.management.actions.transferring",
    "export": "shapes.management.actions.transferring",
    "preview": "interceptor.management.shape_preview_action",
}
"""Action → module whose `run` performs it."""


class Command(BaseCommand):
    """The subcommands of `ccproxy shapes`."""

    requires_system_checks = []
    needs_database = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.shapes(parser)

    def handle(self, *_: Any, action: str, **options: Any) -> None:
        module = import_module(ACTIONS[action])
        module.run(self, Namespace(action=action, **options))
