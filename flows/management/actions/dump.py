"""`ccproxy flows dump`."""

from __future__ import annotations

from argparse import Namespace

from django.core.management.base import BaseCommand

from flows.display.units import plural
from flows.export.har import har_text
from flows.management.actions.chosen_flows import apply_filter, complete, some_ids
from flows.queries.flow_set import rows_of
from providers.audit.log import audited, shell_caller
from providers.base.errors import CcproxyError


def run(command: BaseCommand, options: Namespace) -> None:
    """Write flows as HAR."""
    apply_filter(options)
    if command.stdout.isatty():
        raise CcproxyError("A HAR is for a file: ccproxy flows dump > flows.har")
    ids = some_ids(options)
    with audited("export", plural(len(ids), "flow"), by=shell_caller(), detail="HAR"):
        for piece in har_text(rows_of(ids), complete(ids, command.stderr)):
            command.stdout.write(piece.decode(), ending="")
