"""Look at the recorded flows (`ccproxy flows`). Works without a running proxy."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db.models import QuerySet
from django.utils import timezone

from flows.bodies.complete_flow import CompleteFlow, load_flows
from flows.compare.unified import Comparison, compare_neighbours, compare_sides, short
from flows.display.progress import counted
from flows.display.safe_text import printable
from flows.display.units import plural
from flows.export.codegen import KINDS, copy_as
from flows.export.har import har_text
from flows.export.table import print_flows
from flows.imports.importer import import_file
from flows.models import Flow
from flows.queries.filters import LOOKUP
from flows.queries.flow_set import (
    chosen_ids,
    jq_filters,
    newest,
    referred_ids,
    rows_of,
    timed_summaries,
)
from flows.queries.jq import run_jq
from flows.queries.saved_filters import filtered, parameters_of
from flows.services import clear_everything, clear_steps, expected_steps, pin
from providers.audit.log import audited, shell_caller
from providers.base.errors import CcproxyError

_TABLE_ROWS = 100


class Command(BaseCommand):
    help = "Look at the recorded flows."
    requires_system_checks = []
    needs_database = True

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
        listing = _action(actions, "list", "list flows, the newest last")
        listing.add_argument(
            "--json", action="store_true", help="an array of flows, with mitmweb's field names"
        )
        _action(actions, "dump", "write flows as HAR, e.g. ccproxy flows dump > flows.har")
        diff = _action(actions, "diff", "compare each forwarded request with the one before it")
        diff.add_argument("--json", action="store_true", help="an array of comparisons")
        compare = _action(
            actions, "compare", "compare what the client sent with what left, and both answers"
        )
        compare.add_argument(
            "--json", action="store_true", help="an array of flows with their comparisons"
        )
        compare.add_argument("--headers", action="store_true", help="compare headers too")
        clear = _action(actions, "clear", "delete flows; pinned ones stay")
        clear.add_argument(
            "--all", action="store_true", help="every flow, whatever the configured jq filters say"
        )
        clear.add_argument("--pinned", action="store_true", help="pinned flows too")
        pins = {"pin": "keep flows from retention and clearing", "unpin": "undo pin"}
        for name, what in pins.items():
            pinning = actions.add_parser(name, help=what)
            pinning.add_argument(
                "flows", nargs="+", metavar="FLOW", help="ids of flows, or how they begin"
            )
        copy = actions.add_parser(
            "as", help="write a flow's request as curl, Python, an SDK's call or Markdown"
        )
        copy.add_argument("kind", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
        copy.add_argument("flows", nargs=1, metavar="FLOW", help="the flow's id, or how it begins")
        copy.add_argument(
            "--forwarded",
            action="store_true",
            help="as it left the proxy, not as the client sent it",
        )
        importing = actions.add_parser(
            "import", help="take in HAR files of any tool and mitmproxy captures"
        )
        importing.add_argument("files", nargs="+", metavar="FILE", type=Path)
        _action(actions, "repl", "a Python shell with the flows in it")

    def handle(self, *_: Any, action: str, **options: Any) -> None:
        getattr(self, f"_{action}")(_with_filter(Namespace(among=None, **options)))

    def _list(self, options: Namespace) -> None:
        if options.among is None and not options.flows:
            options.among = Flow.objects.exclude(method=LOOKUP)  # shown with --filter lookups=shown
        if options.json:
            self._print_json(self._summaries(options))
            return
        default_rows = not (options.number or options.jq or options.flows or options.filter)
        if default_rows:
            options.number = _TABLE_ROWS
        ids = self._ids(options)
        if not ids:
            self.stdout.write(
                "No flow matches." if Flow.objects.exists() else "No flows are recorded yet."
            )
            return
        print_flows(rows_of(ids), self.stdout, now=timezone.now(), is_terminal=self.stdout.isatty())
        if default_rows and (total := Flow.objects.count()) > _TABLE_ROWS:
            self.stderr.write(f"Of the newest {_TABLE_ROWS} of {total} flows; -n N shows more.")

    def _summaries(self, options: Namespace) -> Iterable[Any]:
        filters = [] if options.flows else jq_filters(options.jq)
        return (
            run_jq(filters, timed_summaries(_asked(options)))
            if filters
            else timed_summaries(_asked(options))
        )

    def _dump(self, options: Namespace) -> None:
        if self.stdout.isatty():
            raise CcproxyError("A HAR is for a file: ccproxy flows dump > flows.har")
        ids = self._some_ids(options)
        with audited("export", plural(len(ids), "flow"), by=shell_caller(), detail="HAR"):
            for piece in har_text(rows_of(ids), self._whole(ids)):
                self.stdout.write(piece.decode(), ending="")

    def _diff(self, options: Namespace) -> None:
        ids = self._ids(options)
        if len(ids) < 2:
            raise CcproxyError(
                f"A diff needs at least two flows; there {'is' if len(ids) == 1 else 'are'}"
                f" {len(ids)}."
            )
        found = compare_neighbours(self._whole(ids))
        if options.json:
            self._print_json(comparison.as_json() for comparison in found)
            return
        for comparison in found:
            self._print_comparison(comparison)

    def _compare(self, options: Namespace) -> None:
        flows = self._whole(self._some_ids(options))
        if options.json:
            self._print_json(_compared(flow, headers=options.headers) for flow in flows)
            return
        for flow in flows:
            row = flow.flow
            self.stdout.write(
                printable(f"flow {short(flow)}  {row.method} {row.host} {row.status_code or '–'}")
            )
            for comparison in compare_sides(flow, headers=options.headers):
                self._print_comparison(comparison)

    def _clear(self, options: Namespace) -> None:
        if options.all:
            options.jq, options.number, options.flows, options.among = [], None, [], None
        filters = [] if options.all or options.flows else jq_filters(options.jq)
        ids = chosen_ids(_asked(options), filters)
        with audited(
            "clear",
            plural(len(ids), "flow"),
            by=shell_caller(),
            detail="all" if options.all else "",
        ):
            if options.all:
                deleted = clear_everything(keep_pinned=not options.pinned)
            else:
                steps = clear_steps(ids, keep_pinned=not options.pinned)
                deleted = sum(counted(steps, expected_steps(len(ids)), "steps", self.stderr))
        kept = (
            Flow.objects.filter(pk__in=ids[:30_000], pinned=True).count()
            if deleted < len(ids)
            else 0
        )
        self.stdout.write(f"Cleared {deleted} flow{'' if deleted == 1 else 's'}.")
        if kept:
            self.stderr.write(f"{kept} pinned stayed; --pinned clears them too.")

    def _pin(self, options: Namespace) -> None:
        changed = pin(Flow.objects.filter(pk__in=referred_ids(options.flows)))
        self.stdout.write(f"Pinned {plural(changed, 'flow')}.")

    def _unpin(self, options: Namespace) -> None:
        changed = pin(Flow.objects.filter(pk__in=referred_ids(options.flows)), pinned=False)
        self.stdout.write(f"Unpinned {plural(changed, 'flow')}.")

    def _as(self, options: Namespace) -> None:
        flow = next(load_flows(referred_ids(options.flows)))
        self.stdout.write(
            copy_as(options.kind, flow, "forwarded" if options.forwarded else "client"), ending=""
        )

    def _import(self, options: Namespace) -> None:
        for path in options.files:
            found = import_file(path)
            known = f", {found.known} were there already" if found.known else ""
            skipped = (
                f", {plural(found.skipped, 'entry', 'entries')} left out" if found.skipped else ""
            )
            self.stdout.write(f"Imported {plural(found.new, 'flow')} from {path}{known}{skipped}.")
            if found.problem:
                self.stderr.write(found.problem)

    def _repl(self, options: Namespace) -> None:
        from flows.console.repl import run_repl

        run_repl(self._ids(options), self.stdout)

    # --- what the actions share

    def _ids(self, options: Namespace) -> list[str]:
        return chosen_ids(_asked(options), [] if options.flows else jq_filters(options.jq))

    def _some_ids(self, options: Namespace) -> list[str]:
        ids = self._ids(options)
        if not ids:
            raise CcproxyError(
                "No flow matches." if Flow.objects.exists() else "No flows are recorded yet."
            )
        return ids

    def _whole(self, ids: Sequence[str]) -> Iterator[CompleteFlow]:
        return counted(load_flows(ids), len(ids), "flows", self.stderr)

    def _print_json(self, values: Iterable[Any]) -> None:
        """An array, written value by value: the whole record need not fit into memory."""
        separator = "[\n"
        for value in values:
            self.stdout.write(separator + json.dumps(value), ending="")
            separator = ",\n"
        self.stdout.write("[]" if separator == "[\n" else "\n]")

    def _print_comparison(self, found: Comparison) -> None:
        if found.identical:
            self.stdout.write(f"{found.what}: {found.before} and {found.after} are identical")
            return
        colours = {"+": self.style.SUCCESS, "-": self.style.ERROR, "@": self.style.HTTP_INFO}
        for line in found.lines:
            paint = colours.get(line[:1])
            self.stdout.write(paint(line) if paint else line)


def _action(actions: Any, name: str, what: str) -> ArgumentParser:
    """A subcommand with the options that say which flows it is about."""
    parser: ArgumentParser = actions.add_parser(name, help=what)
    parser.add_argument(
        "flows", nargs="*", metavar="FLOW", help="ids of flows, or how they begin; default: all"
    )
    parser.add_argument(
        "-n", "--number", type=_positive, metavar="N", help="only the newest N flows"
    )
    parser.add_argument(
        "--filter",
        metavar="NAME",
        help=(
            "a filter that was saved in the console, or a query such as 'status=5xx&provider=local'"
        ),
    )
    parser.add_argument(
        "--jq",
        action="append",
        default=[],
        metavar="FILTER",
        help=(
            "keep what this jq filter makes of the array of flows, e.g."
            " 'map(select(.response.status_code >= 400))'; several are applied one after the other"
        ),
    )
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _with_filter(options: Namespace) -> Namespace:
    """`among`: the flows that a saved filter leaves; its jq filter comes before those of the
    command line.
    """
    if getattr(options, "filter", None):
        parameters = parameters_of(options.filter)
        options.among = filtered(parameters)
        options.jq = [*parameters.getlist("jq"), *options.jq]
    return options


def _asked(options: Namespace) -> QuerySet[Flow]:
    """The flows before jq, oldest first."""
    if options.flows:
        return Flow.objects.filter(pk__in=referred_ids(options.flows)).order_by("started_at", "id")
    return newest(options.number, options.among)


def _compared(flow: CompleteFlow, *, headers: bool) -> dict[str, Any]:
    comparisons = [comparison.as_json() for comparison in compare_sides(flow, headers=headers)]
    return {"id": flow.flow.pk, "comparisons": comparisons}
