"""`ccproxy shapes list`, `show` and `diff`."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand
from rich.table import Table
from rich.text import Text

from flows.compare.unified import compare_texts
from flows.display.safe_text import printable
from providers.listing.shell_table import table_console
from shapes.models import Shape
from shapes.versions.candidates import Candidate, candidates
from shapes.versions.capturing import check_type
from shapes.versions.finding import version_of
from shapes.versions.outcomes import Outcomes, outcomes_by_version
from shapes.versions.shape_lines import full, shape_lines, summary

_HEADINGS = ("Type", "Version", "Active", "Client", "Captured", "ok", "refused", "failed")


def run(command: BaseCommand, options: Namespace) -> None:
    """List versions, show one, or compare two."""
    if options.action == "list":
        _list(command, options)
    elif options.action == "show":
        _show(command, options)
    else:
        _diff(command, options)


def _list(command: BaseCommand, options: Namespace) -> None:
    shapes = Shape.objects.all()
    if options.provider_type:
        shapes = shapes.filter(provider_type=check_type(options.provider_type))
    rows = list(shapes)
    counts = _counts(rows)
    seen = [
        candidate
        for candidate in candidates()
        if options.provider_type in (None, candidate.provider_type)
    ]
    if options.json:
        command.stdout.write(json.dumps(_as_json(rows, counts, seen), indent=2))
        return
    if rows:
        _table(command, rows, counts)
    else:
        command.stdout.write("There are no shapes yet.")
    for line in _candidate_lines(seen):
        command.stdout.write(printable(line))


def _counts(rows: list[Shape]) -> dict[int, Outcomes]:
    counts: dict[int, Outcomes] = {}
    for provider_type in {shape.provider_type for shape in rows}:
        of_type = [shape for shape in rows if shape.provider_type == provider_type]
        counts |= outcomes_by_version(of_type)
    return counts


def _as_json(
    rows: list[Shape], counts: dict[int, Outcomes], seen: list[Candidate]
) -> dict[str, Any]:
    shapes = []
    for shape in rows:
        counted = counts.get(shape.pk)
        shapes.append({**summary(shape), "outcomes": counted.as_json() if counted else None})
    found = []
    for candidate in seen:
        values = asdict(candidate)
        values["release"] = candidate.name
        values["seen_at"] = candidate.seen_at.isoformat()
        found.append(values)
    return {"shapes": shapes, "candidates": found}


def _table(command: BaseCommand, rows: list[Shape], counts: dict[int, Outcomes]) -> None:
    console = table_console(command.stdout, is_terminal=command.stdout.isatty())
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in _HEADINGS:
        table.add_column(heading, no_wrap=True)
    for shape in rows:
        cells = [printable(cell) for cell in _cells(shape, counts.get(shape.pk))]
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)


def _cells(shape: Shape, counted: Outcomes | None) -> list[str]:
    captured = f"{shape.captured_at:%Y-%m-%d %H:%M}" if shape.captured_at else "–"
    client = f"{shape.client_family} {shape.client_version}".strip() or "–"
    numbers = ["–", "–", "–"]
    if counted is not None:
        numbers = [str(counted.accepted), str(counted.refused), str(counted.failed)]
    active = "active" if shape.active else ""
    return [shape.provider_type, f"v{shape.version}", active, client, captured, *numbers]


def _candidate_lines(seen: list[Candidate]) -> Iterator[str]:
    for candidate in seen:
        start = "New release" if candidate.is_news else "Candidate"
        yield (
            f"{start}: {candidate.name}, flow {candidate.flow_id[:8]}."
            f" ccproxy shapes save {candidate.provider_type} {candidate.flow_id[:8]}"
        )


def _show(command: BaseCommand, options: Namespace) -> None:
    shape = version_of(options.provider_type, options.version)
    if options.json:
        command.stdout.write(json.dumps(full(shape), indent=2))
        return
    state = "active" if shape.active else "not active"
    client = f"{shape.client_family} {shape.client_version}".strip() or "unknown client"
    lines = [f"{shape}, {state}, {client}", *([shape.notes] if shape.notes else []), ""]
    lines += shape_lines(shape)
    if shape.fingerprint:
        ja3, ja4 = (shape.fingerprint.get(name, "–") for name in ("ja3", "ja4"))
        lines += ["", f"JA3 {ja3}", f"JA4 {ja4}"]
    for patch in shape.patches.all():
        lines += ["", f"patch {patch.name}", *patch.diff.splitlines()]
    for line in lines:
        command.stdout.write(printable(line))


def _diff(command: BaseCommand, options: Namespace) -> None:
    before = version_of(options.provider_type, options.before)
    after = version_of(options.provider_type, options.after)
    labels = (str(before), str(after))
    found = compare_texts("shape", labels, shape_lines(before), shape_lines(after))
    if options.json:
        command.stdout.write(json.dumps(found.as_json(), indent=2))
    elif found.identical:
        command.stdout.write(f"{before} and {after} have the same content.")
    else:
        for line in found.lines:
            command.stdout.write(line)
