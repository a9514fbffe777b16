"""Look at the recorded flows (`ccproxy flows`). Works without a running proxy."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db.models import Prefetch, QuerySet
from django.utils import timezone

from flows.flow_json import SIDE_FIELDS, flow_summary
from flows.listing import print_flows
from flows.models import Flow, FlowSide

_TABLE_ROWS = 100
_CHUNK_ROWS = 200
_HEADS = Prefetch("sides", FlowSide.objects.only(*SIDE_FIELDS))


class Command(BaseCommand):
    help = "Look at the recorded flows."
    requires_system_checks = []
    needs_database = True

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
        listing = actions.add_parser("list", help="list flows, the newest last")
        listing.add_argument("--json", action="store_true", help="an array of flows, with mitmweb's field names")
        listing.add_argument("-n", "--number", type=_positive, metavar="N", help="only the newest N flows")

    def handle(self, *_: Any, action: str, **options: Any) -> None:
        actions: dict[str, Callable[..., None]] = {"list": self._list}
        actions[action](**options)

    def _list(self, *, json: bool, number: int | None, **_: Any) -> None:
        if json:
            self._print_json(_newest(number))
            return
        flows = list(_newest(number or _TABLE_ROWS))
        if not flows:
            self.stdout.write("No flows are recorded yet.")
            return
        print_flows(flows, self.stdout, now=timezone.now(), is_terminal=self.stdout.isatty())
        total = Flow.objects.count()
        if number is None and total > len(flows):
            self.stderr.write(f"The newest {len(flows)} of {total} flows; -n N shows more.")

    def _print_json(self, flows: QuerySet[Flow]) -> None:
        """An array, written flow by flow: the whole record need not fit into memory."""
        separator = "[\n"
        for flow in flows.prefetch_related(_HEADS).iterator(chunk_size=_CHUNK_ROWS):
            time = f"{flow.started_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
            self.stdout.write(separator + json.dumps({**flow_summary(flow, flow.sides.all()), "time": time}), ending="")
            separator = ",\n"
        self.stdout.write("[]" if separator == "[\n" else "\n]")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _newest(number: int | None) -> QuerySet[Flow]:
    """The newest flows, oldest of them first."""
    flows = Flow.objects.order_by("-started_at", "-id")
    if number is not None:
        flows = Flow.objects.filter(pk__in=flows.values("pk")[:number])
    return flows.order_by("started_at", "id")
