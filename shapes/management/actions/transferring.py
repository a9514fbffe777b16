"""`ccproxy shapes import` and `ccproxy shapes export`."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from django.core.management.base import BaseCommand

from flows.display.safe_text import printable
from providers.audit.log import shell_caller
from providers.base.errors import CcproxyError
from providers.listing.question import confirmed
from shapes.files.directory import (
    FileReview,
    export_version,
    review_path,
    shape_files,
    shapes_dir,
    type_of,
)
from shapes.files.shape_file_error import ShapeFileError
from shapes.management.actions.saving import review_lines
from shapes.versions.activation import save_version
from shapes.versions.finding import version_of


def run(command: BaseCommand, options: Namespace) -> None:
    """Read or write files of shapes."""
    if options.action == "import":
        _import(command, options)
    else:
        _export(command, options)


def _import(command: BaseCommand, options: Namespace) -> None:
    """Review every file before the first one is stored, so that a bad one stores nothing."""
    files = shape_files(options.paths or [_default_directory()])
    if not files:
        raise ShapeFileError("There is no .mflow file to import.")
    reviews = []
    for path in files:
        found = review_path(path, type_of(path, options.provider_type))
        reviews.append((path, found))
        for line in (*review_lines(found.review), *_patch_lines(found)):
            command.stdout.write(printable(line))
    if not confirmed("Store this?", yes=options.yes):
        raise CcproxyError("Nothing is stored. Add --yes to store what is shown.")
    for path, found in reviews:
        same = found.review.same_as
        if same is not None and not found.patches:
            command.stdout.write(f"Unchanged: {same} has the content of {path.name}.")
            continue
        shape = save_version(found.review.shape, by=shell_caller(), patches=found.patches)
        command.stdout.write(f"Stored {path.name} as {shape}, which is not active.")


def _patch_lines(found: FileReview) -> list[str]:
    lines: list[str] = []
    for patch in found.patches:
        lines += ["", f"patch {patch.name}", *patch.diff.splitlines()]
    return lines


def _default_directory() -> Path:
    directory = shapes_dir()
    if not directory.is_dir():
        raise ShapeFileError(f"There is no directory {directory}. Name a file or a directory.")
    return directory


def _export(command: BaseCommand, options: Namespace) -> None:
    shape = version_of(options.provider_type, options.version)
    for path in export_version(shape, options.directory or shapes_dir()):
        command.stdout.write(f"Wrote {path}.")
