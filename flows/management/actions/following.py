"""`ccproxy flows list -f`: the newest flows, then each one as it ends, until Ctrl-C."""

from __future__ import annotations

import json
import os
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.core.management.base import BaseCommand
from django.utils import timezone

from flows.export.flow_line import flow_line
from flows.management.actions.chosen_flows import apply_filter, filtered_flows
from flows.models import Flow
from flows.queries.flow_set import chosen_ids, jq_filters, newest, rows_of, timed_summaries
from flows.record import LOOKUP
from providers.base.errors import CcproxyError

FIRST_FLOWS: Final = 10
LOOK_EVERY_S: Final = 0.3
OVERLAP: Final = timedelta(seconds=10)
"""How much later than a newer flow's row the row of an older one may be written."""
RUNNING_REACH: Final = timedelta(hours=1)
"""Age up to which flows are followed that run already."""


class EndedFlows:
    """Finder of the flows that ended since the last look. It reads a few rows at each look."""

    def __init__(self, now: datetime) -> None:
        running = Flow.objects.filter(started_at__gte=now - RUNNING_REACH, state=Flow.State.LIVE)
        self._running = set(running.values_list("pk", flat=True))
        self._newest = now
        self._seen: dict[str, datetime] = {}
        self._read()

    def look(self) -> list[str]:
        """Return the ids of flows that have ended, each once."""
        ended = self._read()
        if self._running:
            done = Flow.objects.filter(pk__in=self._running).exclude(state=Flow.State.LIVE)
            # A deleted flow has no row any more; it stays among the running ones, which costs
            # little.
            for flow_id in done.values_list("pk", flat=True):
                self._running.discard(flow_id)
                ended.append(flow_id)
        return ended

    def _read(self) -> list[str]:
        """Note the flows that began lately; return those that are new and have ended."""
        since = self._newest - OVERLAP
        rows = Flow.objects.filter(started_at__gte=since).order_by("started_at")
        ended = []
        for flow_id, state, started_at in rows.values_list("pk", "state", "started_at"):
            self._newest = max(self._newest, started_at)
            if flow_id in self._seen or flow_id in self._running:
                continue
            self._seen[flow_id] = started_at
            if state == Flow.State.LIVE:
                self._running.add(flow_id)
            else:
                ended.append(flow_id)
        # What is older than the overlap is not read again.
        self._seen = {key: at for key, at in self._seen.items() if at >= since}
        return ended


def follow(
    command: BaseCommand, options: Namespace, pause: Callable[[float], None] = time.sleep
) -> None:
    """Print flows until Ctrl-C: lines as those of `ccproxy start`, or JSON, one value a line.

    Raises:
        CcproxyError: single flows were named.
    """
    if options.flows:
        raise CcproxyError("-f follows every flow that ends; leave out the ids, or use --filter")
    apply_filter(options)
    if options.among is None:
        options.among = Flow.objects.exclude(method=LOOKUP)
    ended = EndedFlows(timezone.now())
    first = newest(options.number or FIRST_FLOWS, options.among).exclude(state=Flow.State.LIVE)
    _print(command, options, list(first.values_list("pk", flat=True)))
    while True:
        pause(LOOK_EVERY_S)
        if ids := ended.look():
            _print(command, options, ids)


def _print(command: BaseCommand, options: Namespace, ids: Sequence[str]) -> None:
    named = options.among.filter(pk__in=ids)
    if options.filter or options.search:
        # Flows that ended now; what a search found at the start were others.
        named = filtered_flows(options, Flow.objects.filter(pk__in=ids))
    among = named.order_by("started_at", "id")
    chosen = chosen_ids(among, jq_filters(options.jq))
    if options.json:
        flows = Flow.objects.filter(pk__in=chosen)
        for summary in timed_summaries(flows.order_by("started_at")):
            text = json.dumps(summary)
            command.stdout.write(text)
    else:
        is_coloured = command.stdout.isatty() and "NO_COLOR" not in os.environ
        for row in rows_of(chosen):
            line = flow_line(row, is_coloured=is_coloured)
            command.stdout.write(line)
    command.stdout.flush()
