"""`ccproxy flows list`."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from flows.export.table import print_flows, print_hits, print_newest
from flows.management.actions.chosen_flows import (
    apply_filter,
    asked,
    ids_asked,
    nothing_found,
    print_json,
)
from flows.management.actions.following import follow
from flows.management.plain_listing import is_plain
from flows.models import Flow
from flows.queries.flow_set import jq_filters, rows_of, timed_summaries
from flows.queries.jq import run_jq
from flows.record import LOOKUP
from flows.search.text_filter import page_hits, search_notes
from providers.reading.django_reader import read


def run(command: BaseCommand, options: Namespace) -> None:
    """Print a table of flows, or an array."""
    if options.follow:
        follow(command, options)
    is_terminal = command.stdout.isatty()
    has_default_filters = bool(settings.CCPROXY.flows.default_jq_filters)
    if is_plain(options, has_default_filters=has_default_filters):
        output, errors = command.stdout, command.stderr
        print_newest(read, options.number, output, errors, is_terminal=is_terminal)
        return
    apply_filter(options)
    # Name lookups are shown with --filter lookups=shown, as in the console.
    if options.among is None and not options.flows:
        options.among = Flow.objects.exclude(method=LOOKUP)
    for note in search_notes(options.search or ""):
        command.stderr.write(note)
    if options.json:
        print_json(_summaries(options), command.stdout)
        return
    ids = ids_asked(options)
    if not ids:
        command.stdout.write(nothing_found(options.jq))
        return
    rows = list(rows_of(ids))
    print_flows(rows, command.stdout, now=timezone.now(), is_terminal=is_terminal)
    if options.search:
        print_hits(page_hits(options.search, rows), command.stdout)


def _summaries(options: Namespace) -> Iterable[Any]:
    flows = timed_summaries(asked(options))
    # Flows that the user named are shown also if a configured filter leaves them out.
    filters = [] if options.flows else jq_filters(options.jq)
    return run_jq(filters, flows) if filters else flows
