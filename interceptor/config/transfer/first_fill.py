"""First filling of a database: the providers, rules and hooks it begins with."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from interceptor.config.files.defaults import with_defaults
from interceptor.config.files.directory import CONFIG_FILE_NAME
from interceptor.config.files.document import Document
from interceptor.config.files.template import write_template
from interceptor.config.files.whole_file import Sections, read_config_file
from interceptor.config.transfer.import_mark import mark_imported
from interceptor.config.transfer.importer import import_sections, refuse_unsafe_file
from interceptor.config.transfer.rows import ImportReport


def fill() -> list[str]:
    """Import the providers, rules and hooks of `ccproxy.yaml`, and the defaults for what it does
    not mention. Without such a file, write a commented one.

    Returns:
        sentences for the user.

    Raises:
        ConfigError: the file is refused, and nothing was changed.
    """
    path = Path(settings.CONFIG_DIR) / CONFIG_FILE_NAME
    write_template(path)
    file = read_config_file(path) if path.exists() else None
    document = file.document if file else Document(source="the built-in defaults")
    sections = file.sections if file else Sections()
    if sections:
        refuse_unsafe_file(path, sections)
    report = import_sections(with_defaults(sections), document)
    if sections:
        mark_imported(sections)
    return [_summary(report, path), *report.notes] if sections else []


def _summary(report: ImportReport, path: Path) -> str:
    providers = sum(change.what.startswith("provider ") for change in report.changes)
    rules = sum(change.what.startswith("rule ") for change in report.changes)
    return f"imported {providers} providers and {rules} rules from {path}"
