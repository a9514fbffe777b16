"""`ccproxy shapes save`."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from django.core.management.base import BaseCommand

from flows.bodies.complete_flow import CompleteFlow, load_flow
from flows.compare.unified import compare_texts
from flows.display.safe_text import printable
from flows.display.units import plural
from flows.queries.flow_set import chosen_ids, jq_filters, newest, referred_ids
from providers.audit.log import shell_caller
from providers.base.errors import CcproxyError
from providers.listing.question import confirmed
from shapes.models import Shape, ShapingProfile
from shapes.versions.activation import save_version
from shapes.versions.capturing import Review, newest_valid, review
from shapes.versions.shape_lines import raw_lines, shape_lines, summary

_SHOWN_LINES = 400


def run(command: BaseCommand, options: Namespace) -> None:
    """Show what would be stored, and store it once that is confirmed."""
    flow = _chosen(options)
    found = review(flow, options.provider_type, options.keep)
    if found.same_as is not None:
        _unchanged(command, options, found.same_as)
        return
    # Nothing but JSON may stand on standard output there.
    show = command.stderr if options.json else command.stdout
    for line in review_lines(found):
        show.write(printable(line))
    if not confirmed("Store this?", yes=options.yes):
        raise CcproxyError("Nothing is stored. Add --yes to store what is shown.")
    found.shape.notes = options.notes
    shape = save_version(found.shape, by=shell_caller(), activate=not options.inactive)
    files = _write_file(shape) if options.mflow else None
    if options.json:
        command.stdout.write(json.dumps({"status": "ok", **summary(shape)}, indent=2))
        return
    for line in _outcome(shape, files):
        command.stdout.write(line)


def _chosen(options: Namespace) -> CompleteFlow:
    if options.flow:
        flow = load_flow(referred_ids([options.flow])[0])
        if flow is None:
            raise CcproxyError("This flow is gone.")
        return flow
    if options.jq:
        ids = chosen_ids(newest(None), jq_filters(options.jq))
        return newest_valid(options.provider_type, ids)
    return newest_valid(options.provider_type)


def _unchanged(command: BaseCommand, options: Namespace, same: Shape) -> None:
    if options.json:
        command.stdout.write(json.dumps({"status": "unchanged", **summary(same)}, indent=2))
    else:
        command.stdout.write(f"Unchanged: {same} has the same content. Nothing is stored.")


def review_lines(found: Review) -> Iterator[str]:
    """Yield the review for people: findings, places, and the diff raw → stored."""
    yield f"Flow {found.shape.source_flow_id[:8]} as a shape of {found.shape.provider_type}"
    report = found.scrubbed.report
    for finding in report.findings:
        yield f"  {finding.outcome}: {finding.kind} {finding.shown} at {finding.place}"
    if report.uncounted:
        yield f"  and {report.uncounted} more"
    if report.left_out:
        yield f"  left out: {', '.join(report.left_out)}"
    if report.placeholders:
        yield f"  placeholders: {', '.join(report.placeholders)} (--keep PLACE keeps one)"
    yield ""
    diff = compare_texts("shape", ("raw", "stored"), raw_lines(found), shape_lines(found.shape))
    yield from diff.lines[:_SHOWN_LINES]
    left_out = len(diff.lines) - _SHOWN_LINES
    if left_out > 0:
        yield f"… and {plural(left_out, 'more line')}; the console shows all of it"


def _write_file(shape: Shape) -> Path:
    # mitmproxy takes most of a second to import.
    from shapes.files.directory import export_version, shapes_dir

    return export_version(shape, shapes_dir())[0]


def _outcome(shape: Shape, file: Path | None) -> Iterator[str]:
    state = "active" if shape.active else "not active"
    yield f"Stored {shape}, which is {state}."
    if file is not None:
        yield f"Wrote {file}."
    if not ShapingProfile.of(shape.provider_type).is_acknowledged:
        yield (
            "No request is shaped yet: confirm that the provider's terms apply with"
            f" “ccproxy shapes acknowledge {shape.provider_type}”."
        )
