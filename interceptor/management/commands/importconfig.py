"""Read providers, rules and hooks of a `ccproxy.yaml` into the database."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from interceptor.config.files.directory import CONFIG_FILE_NAME
from interceptor.config.files.whole_file import ConfigFile, read_config_file
from interceptor.config.transfer.database import ensure_database
from interceptor.config.transfer.import_mark import mark_imported
from interceptor.config.transfer.importer import import_sections, refuse_unsafe_file
from interceptor.config.transfer.rows import ImportReport
from interceptor.management import parsers


class Command(BaseCommand):
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.importconfig(parser)

    def handle(self, *_: Any, file: str | None, dry_run: bool, **__: Any) -> None:
        own = Path(settings.CONFIG_DIR) / CONFIG_FILE_NAME
        path = Path(file).expanduser() if file else own
        parsed = read_config_file(path)
        refuse_unsafe_file(path, parsed.sections)
        ensure_database()
        report = import_sections(parsed.sections, parsed.document, dry_run=dry_run)
        is_own = path.exists() and own.exists() and path.samefile(own)
        if is_own and not dry_run:
            mark_imported(parsed.sections)
        self._print(report, dry_run)
        if not is_own and (names := _server_keys(parsed)):
            self.stdout.write(
                f"Note: server settings ({names}) are not in the database; put them into {own}"
            )

    def _print(self, report: ImportReport, dry_run: bool) -> None:
        for change in report.changes:
            self.stdout.write(str(change))
        for note in report.notes:
            self.stdout.write(f"Note: {note}")
        number = len(report.changes)
        changes = "1 change" if number == 1 else f"{number} changes"
        if not number:
            self.stdout.write("Nothing to change.")
        elif dry_run:
            self.stdout.write(f"{changes}; nothing was changed (--dry-run).")
        else:
            self.stdout.write(f"{changes}; a running interceptor takes them up within a second.")


def _server_keys(file: ConfigFile) -> str:
    """Return the server settings of the file that differ from those in use, as a short list."""
    given = file.settings.model_dump(exclude_unset=True)
    in_use = settings.CCPROXY.model_dump()
    return ", ".join(key for key, value in given.items() if not _is_part(value, in_use[key]))


def _is_part(value: Any, whole: Any) -> bool:
    if isinstance(value, dict) and isinstance(whole, dict):
        return all(_is_part(inner, whole.get(key)) for key, inner in value.items())
    return bool(value == whole)
