"""`ccproxy shapes audit`."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict

from django.core.management.base import BaseCommand

from flows.display.safe_text import printable
from flows.display.units import plural
from providers.base.errors import CcproxyError
from shapes.files.directory import shape_files, shapes_dir
from shapes.files.stored_audit import AuditResult, audit_files, audit_shapes
from shapes.models import Shape


def run(command: BaseCommand, options: Namespace) -> None:
    """Check the stored versions and the shapes directory, or the named directory alone."""
    result = AuditResult()
    directory = options.directory
    if directory is None:
        audit_shapes(Shape.objects.all(), result)
        directory = shapes_dir()
    if options.directory is not None or directory.is_dir():
        audit_files(shape_files([directory]), result)
    if options.json:
        command.stdout.write(json.dumps(asdict(result), indent=2))
    else:
        _report(command, result)
    if result.faults:
        raise CcproxyError(f"The audit found {plural(len(result.faults), 'fault')}.")


def _report(command: BaseCommand, result: AuditResult) -> None:
    for fault in result.faults:
        command.stdout.write(printable(fault))
    if not result.faults:
        looked_at = f"{plural(result.shapes, 'stored version')}, {plural(result.files, 'file')}"
        command.stdout.write(f"{looked_at}: no response, no credential.")
