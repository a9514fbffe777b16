"""`ccproxy flows repl`."""

from __future__ import annotations

from argparse import Namespace

from django.core.management.base import BaseCommand

from flows.console.repl import run_repl
from flows.management.actions.chosen_flows import apply_filter, ids_asked


def run(command: BaseCommand, options: Namespace) -> None:
    """Open a Python shell with the flows in it."""
    apply_filter(options)
    run_repl(ids_asked(options), command.stdout)
