"""`ccproxy flows clear`."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Final

from django.core.management.base import BaseCommand
from django.db import OperationalError

from flows.display.progress import counted
from flows.display.units import plural, size
from flows.management.actions.chosen_flows import apply_filter, asked
from flows.models import Flow
from flows.queries.flow_set import chosen_ids, jq_filters
from flows.services import clear_everything, clear_steps, expected_steps, give_space_back
from providers.audit.log import audited, shell_caller
from providers.base.errors import CcproxyError
from providers.listing.question import confirmed

# SQLite takes at most 32,766 variables in a query.
_MAX_COUNTED_IDS: Final = 30_000


def run(command: BaseCommand, options: Namespace) -> None:
    """Delete flows; pinned ones stay unless --pinned is given."""
    apply_filter(options)
    if options.all:
        options.jq, options.number, options.flows, options.among = [], None, [], None
    filters = [] if options.all or options.flows else jq_filters(options.jq)
    ids = chosen_ids(asked(options), filters)
    what = plural(len(ids), "flow")
    # A script has given its word by its text; a person may have forgotten a filter.
    is_asked = sys.stdin.isatty() and bool(ids)
    if is_asked and not confirmed(_question(what, options), yes=options.yes):
        raise CcproxyError("Nothing is deleted.")
    with audited("clear", what, by=shell_caller(), detail="all" if options.all else ""):
        deleted = _delete(command, ids, options)
    command.stdout.write(f"Cleared {plural(deleted, 'flow')}.")
    if deleted:
        was_emptied = options.all and not Flow.objects.exists()
        _give_space_back(command, was_emptied=was_emptied)
    kept = 0
    if deleted < len(ids):
        kept = Flow.objects.filter(pk__in=ids[:_MAX_COUNTED_IDS], pinned=True).count()
    if kept:
        command.stderr.write(f"{kept} pinned stayed; --pinned clears them too.")


def _question(what: str, options: Namespace) -> str:
    pinned = ", pinned ones too" if options.pinned else "; pinned ones stay"
    return f"Delete {what}{pinned}?"


def _delete(command: BaseCommand, ids: Sequence[str], options: Namespace) -> int:
    keep_pinned = not options.pinned
    if options.all:
        return clear_everything(keep_pinned=keep_pinned)
    steps = clear_steps(ids, keep_pinned=keep_pinned)
    return sum(counted(steps, expected_steps(len(ids)), "steps", command.stderr))


def _give_space_back(command: BaseCommand, *, was_emptied: bool) -> None:
    """Shrink the file, and report what became of the space.

    PostgreSQL gives back a table that was emptied at once.
    """
    try:
        freed = give_space_back()
    except OperationalError:
        command.stderr.write("The database is busy; a running proxy shrinks its file later.")
        return
    if freed is None and not was_emptied:
        command.stderr.write(
            "PostgreSQL keeps the space of deleted flows for new ones; VACUUM FULL"
            " flows_flowbody gives it back to the disk."
        )
    elif freed:
        command.stderr.write(f"The database file is {size(freed)} smaller.")
