"""`ccproxy flows import`."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from django.core.management.base import BaseCommand

from flows.display.progress import counted
from flows.display.units import plural
from flows.imports.importer import Imported, import_file


def run(command: BaseCommand, options: Namespace) -> None:
    """Take in HAR files and mitmproxy captures."""
    for path in options.files:
        imported = import_file(path, lambda read: counted(read, 0, "entries read", command.stderr))
        command.stdout.write(_import_sentence(path, imported))
        for note in imported.notes:
            command.stderr.write(note)
        if imported.problem:
            command.stderr.write(imported.problem)


def _import_sentence(path: Path, imported: Imported) -> str:
    """Describe an import: "Imported 3 flows from x.har, 2 entries left out."."""
    parts = [f"Imported {plural(imported.new, 'flow')} from {path}"]
    if imported.known:
        parts.append(f"{imported.known} were there already")
    if imported.skipped:
        parts.append(f"{plural(imported.skipped, 'entry', 'entries')} left out")
    return f"{', '.join(parts)}."
