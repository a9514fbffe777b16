"""Look at the recorded flows (`ccproxy flows`). Works without a running proxy."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import OperationalError
from django.db.models import QuerySet
from django.utils import timezone

from flows.bodies.complete_flow import CompleteFlow, load_flows
from flows.compare.unified import Comparison, compare_neighbours, compare_sides, short
from flows.display.progress import counted
from flows.display.safe_text import printable
from flows.display.units import UNKNOWN, plural, size
from flows.export.codegen import KINDS, copy_as
from flows.export.har import har_text
from flows.export.table import print_flows
from flows.imports.importer import Imported, import_file
from flows.models import Flow
from flows.queries.filters import LOOKUP
from flows.queries.flow_set import (
    chosen_ids,
    jq_filters,
    missing_field,
    newest,
    referred_ids,
    rows_of,
    timed_summaries,
)
from flows.queries.jq import run_jq
from flows.queries.saved_filters import filtered, parameters_of
from flows.services import clear_everything, clear_steps, expected_steps, give_space_back, pin
from providers.audit.log import audited, shell_caller
from providers.base.errors import CcproxyError

_TABLE_ROWS = 100
# SQLite takes at most 32,766 variables in a query.
_MAX_COUNTED_IDS = 30_000


class Command(BaseCommand):
    """The subcommands of `ccproxy flows`."""

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
        copy.add_argument(
            "flows", nargs=1, metavar="FLOW", help="the flow's id, or its first letters"
        )
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
        perform = getattr(self, f"_{action}")
        perform(_with_filter(Namespace(among=None, **options)))

    def _list(self, options: Namespace) -> None:
        # Name lookups are shown with --filter lookups=shown, as in the console.
        if options.among is None and not options.flows:
            options.among = Flow.objects.exclude(method=LOOKUP)
        if options.json:
            self._print_json(self._summaries(options))
            return
        is_plain = not (options.number or options.jq or options.flows or options.filter)
        if is_plain:
            options.number = _TABLE_ROWS
        ids = self._ids(options)
        if not ids:
            self.stdout.write(_nothing_found(options.jq))
            return
        is_terminal = self.stdout.isatty()
        print_flows(rows_of(ids), self.stdout, now=timezone.now(), is_terminal=is_terminal)
        if not is_plain:
            return
        total = Flow.objects.count()
        if total > _TABLE_ROWS:
            self.stderr.write(f"Of the newest {_TABLE_ROWS} of {total} flows; -n N shows more.")

    def _summaries(self, options: Namespace) -> Iterable[Any]:
        flows = timed_summaries(_asked(options))
        # Flows that the user named are shown also if a configured filter leaves them out.
        filters = [] if options.flows else jq_filters(options.jq)
        return run_jq(filters, flows) if filters else flows

    def _dump(self, options: Namespace) -> None:
        if self.stdout.isatty():
            raise CcproxyError("A HAR is for a file: ccproxy flows dump > flows.har")
        ids = self._some_ids(options)
        with audited("export", plural(len(ids), "flow"), by=shell_caller(), detail="HAR"):
            for piece in har_text(rows_of(ids), self._complete(ids)):
                self.stdout.write(piece.decode(), ending="")

    def _diff(self, options: Namespace) -> None:
        ids = self._ids(options)
        if len(ids) < 2:
            raise CcproxyError(
                f"A diff needs at least two flows; found {plural(len(ids), 'flow')}."
            )
        comparisons = compare_neighbours(self._complete(ids))
        if options.json:
            self._print_json(comparison.as_json() for comparison in comparisons)
            return
        for comparison in comparisons:
            self._print_comparison(comparison)

    def _compare(self, options: Namespace) -> None:
        flows = self._complete(self._some_ids(options))
        if options.json:
            self._print_json(_compared(flow, headers=options.headers) for flow in flows)
            return
        for flow in flows:
            row = flow.flow
            title = f"flow {short(flow)}  {row.method} {row.host} {row.status_code or UNKNOWN}"
            self.stdout.write(printable(title))
            for comparison in compare_sides(flow, headers=options.headers):
                self._print_comparison(comparison)

    def _clear(self, options: Namespace) -> None:
        if options.all:
            options.jq, options.number, options.flows, options.among = [], None, [], None
        filters = [] if options.all or options.flows else jq_filters(options.jq)
        ids = chosen_ids(_asked(options), filters)
        what = plural(len(ids), "flow")
        with audited("clear", what, by=shell_caller(), detail="all" if options.all else ""):
            deleted = self._delete(ids, options)
        self.stdout.write(f"Cleared {plural(deleted, 'flow')}.")
        if deleted:
            was_emptied = options.all and not Flow.objects.exists()
            self._give_space_back(was_emptied=was_emptied)
        kept = 0
        if deleted < len(ids):
            kept = Flow.objects.filter(pk__in=ids[:_MAX_COUNTED_IDS], pinned=True).count()
        if kept:
            self.stderr.write(f"{kept} pinned stayed; --pinned clears them too.")

    def _give_space_back(self, *, was_emptied: bool) -> None:
        """Shrink the file, and report what became of the space.

        PostgreSQL gives back a table that was emptied at once.
        """
        try:
            freed = give_space_back()
        except OperationalError:
            self.stderr.write("The database is busy; a running proxy shrinks its file later.")
            return
        if freed is None and not was_emptied:
            self.stderr.write(
                "PostgreSQL keeps the space of deleted flows for new ones; VACUUM FULL"
                " flows_flowbody gives it back to the disk."
            )
        elif freed:
            self.stderr.write(f"The database file is {size(freed)} smaller.")

    def _pin(self, options: Namespace) -> None:
        changed = pin(Flow.objects.filter(pk__in=referred_ids(options.flows)))
        self.stdout.write(f"Pinned {plural(changed, 'flow')}.")

    def _unpin(self, options: Namespace) -> None:
        changed = pin(Flow.objects.filter(pk__in=referred_ids(options.flows)), pinned=False)
        self.stdout.write(f"Unpinned {plural(changed, 'flow')}.")

    def _delete(self, ids: Sequence[str], options: Namespace) -> int:
        keep_pinned = not options.pinned
        if options.all:
            return clear_everything(keep_pinned=keep_pinned)
        steps = clear_steps(ids, keep_pinned=keep_pinned)
        return sum(counted(steps, expected_steps(len(ids)), "steps", self.stderr))

    def _as(self, options: Namespace) -> None:
        flow = next(load_flows(referred_ids(options.flows)))
        side = "forwarded" if options.forwarded else "client"
        self.stdout.write(copy_as(options.kind, flow, side), ending="")

    def _import(self, options: Namespace) -> None:
        for path in options.files:
            imported = import_file(path)
            self.stdout.write(_import_sentence(path, imported))
            for note in imported.notes:
                self.stderr.write(note)
            if imported.problem:
                self.stderr.write(imported.problem)

    def _repl(self, options: Namespace) -> None:
        from flows.console.repl import run_repl

        run_repl(self._ids(options), self.stdout)

    # --- what the actions share

    def _ids(self, options: Namespace) -> list[str]:
        filters = [] if options.flows else jq_filters(options.jq)
        return chosen_ids(_asked(options), filters)

    def _some_ids(self, options: Namespace) -> list[str]:
        ids = self._ids(options)
        if not ids:
            raise CcproxyError(_nothing_found(options.jq))
        return ids

    def _complete(self, ids: Sequence[str]) -> Iterator[CompleteFlow]:
        flows = load_flows(ids)
        return counted(flows, len(ids), "flows", self.stderr)

    def _print_json(self, values: Iterable[Any]) -> None:
        """Write an array value by value: the record need not fit into memory."""
        separator = "[\n"
        for value in values:
            self.stdout.write(separator + json.dumps(value), ending="")
            separator = ",\n"
        is_empty = separator == "[\n"
        self.stdout.write("[]" if is_empty else "\n]")

    def _print_comparison(self, found: Comparison) -> None:
        if found.identical:
            self.stdout.write(f"{found.what}: {found.before} and {found.after} are identical")
            return
        colours = {"+": self.style.SUCCESS, "-": self.style.ERROR, "@": self.style.HTTP_INFO}
        for line in found.lines:
            paint = colours.get(line[:1])
            self.stdout.write(paint(line) if paint else line)


def _action(actions: Any, name: str, what: str) -> ArgumentParser:
    """Add a subcommand with the options that choose its flows."""
    parser: ArgumentParser = actions.add_parser(name, help=what)
    parser.add_argument(
        "flows",
        nargs="*",
        metavar="FLOW",
        help="ids of flows, or their first letters; default: all",
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
    """Set `among`, the flows that a saved filter leaves.

    The filter's jq comes before the jq of the command line.
    """
    # Only commands that choose flows have the option.
    reference = getattr(options, "filter", None)
    if reference:
        parameters = parameters_of(reference)
        options.among = filtered(parameters)
        options.jq = [*parameters.getlist("jq"), *options.jq]
    return options


def _asked(options: Namespace) -> QuerySet[Flow]:
    """Return the flows before jq, oldest first."""
    if options.flows:
        ids = referred_ids(options.flows)
        return Flow.objects.filter(pk__in=ids).order_by("started_at", "id")
    return newest(options.number, options.among)


def _nothing_found(filters: Sequence[str]) -> str:
    if Flow.objects.exists():
        return f"No flow matches. {missing_field(filters)}".strip()
    return "No flows are recorded yet."


def _import_sentence(path: Path, imported: Imported) -> str:
    """Describe an import: "Imported 3 flows from x.har, 2 entries left out."."""
    parts = [f"Imported {plural(imported.new, 'flow')} from {path}"]
    if imported.known:
        parts.append(f"{imported.known} were there already")
    if imported.skipped:
        parts.append(f"{plural(imported.skipped, 'entry', 'entries')} left out")
    return f"{', '.join(parts)}."


def _compared(flow: CompleteFlow, *, headers: bool) -> dict[str, Any]:
    comparisons = compare_sides(flow, headers=headers)
    as_json = [comparison.as_json() for comparison in comparisons]
    return {"id": flow.flow.pk, "comparisons": as_json}
