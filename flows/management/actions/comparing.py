"""`ccproxy flows diff` and `ccproxy flows compare`."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from django.core.management.base import BaseCommand

from flows.bodies.complete_flow import CompleteFlow
from flows.compare.unified import Comparison, compare_neighbours, compare_sides, short
from flows.display.safe_text import printable
from flows.display.units import UNKNOWN, plural
from flows.management.actions.chosen_flows import (
    apply_filter,
    complete,
    ids_asked,
    print_json,
    some_ids,
)
from providers.base.errors import CcproxyError


def run(command: BaseCommand, options: Namespace) -> None:
    """Compare each forwarded request with the one before it, or the sides of each flow."""
    apply_filter(options)
    if options.action == "diff":
        _diff(command, options)
    else:
        _compare(command, options)


def _diff(command: BaseCommand, options: Namespace) -> None:
    ids = ids_asked(options)
    if len(ids) < 2:
        raise CcproxyError(f"A diff needs at least two flows; found {plural(len(ids), 'flow')}.")
    comparisons = compare_neighbours(complete(ids, command.stderr))
    if options.json:
        print_json((comparison.as_json() for comparison in comparisons), command.stdout)
        return
    for comparison in comparisons:
        _print_comparison(command, comparison)


def _compare(command: BaseCommand, options: Namespace) -> None:
    flows = complete(some_ids(options), command.stderr)
    if options.json:
        compared = (_compared(flow, headers=options.headers) for flow in flows)
        print_json(compared, command.stdout)
        return
    for flow in flows:
        row = flow.flow
        title = f"flow {short(flow)}  {row.method} {row.host} {row.status_code or UNKNOWN}"
        command.stdout.write(printable(title))
        for comparison in compare_sides(flow, headers=options.headers):
            _print_comparison(command, comparison)


def _print_comparison(command: BaseCommand, found: Comparison) -> None:
    if found.identical:
        command.stdout.write(f"{found.what}: {found.before} and {found.after} are identical")
        return
    style = command.style
    colours = {"+": style.SUCCESS, "-": style.ERROR, "@": style.HTTP_INFO}
    for line in found.lines:
        paint = colours.get(line[:1])
        command.stdout.write(paint(line) if paint else line)


def _compared(flow: CompleteFlow, *, headers: bool) -> dict[str, Any]:
    comparisons = compare_sides(flow, headers=headers)
    as_json = [comparison.as_json() for comparison in comparisons]
    return {"id": flow.flow.pk, "comparisons": as_json}
