"""Findings about what is stored: config directory, database, recording, credentials."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone

from ccproxy_site.process.start_checks import check_directory
from flows.display.units import size
from flows.models import Flow
from interceptor.config.files.directory import CONFIG_FILE_NAME
from interceptor.config.files.server import ServerSettings
from interceptor.config.transfer.database_state import database_name, is_filled
from interceptor.config.transfer.migration_names import has_all_migrations
from interceptor.operate.findings import Finding, Level, refused
from interceptor.operate.liveness import recording_problem
from providers.credentials.credential_states import BoardRow, board_rows
from providers.reading.django_reader import read


def config_directory(directory: Path) -> Iterator[Finding]:
    """Yield if the directory can be written, is private, and has a file of settings."""
    if not directory.exists():
        yield Finding("config", Level.NOTE, f"there is no {directory}", "ccproxy init")
        return
    yield refused("config", lambda: check_directory(directory), f"{directory} can be written")
    if directory.stat().st_mode & 0o077:
        open_text = f"other users may look into {directory}"
        yield Finding("config", Level.FAILURE, open_text, f"chmod 700 {directory}")
    if not (directory / CONFIG_FILE_NAME).exists():
        yield Finding("settings", Level.NOTE, "built-in defaults", "ccproxy init writes a file")


def is_ready() -> bool:
    """Return True for a database with the tables of this version and its first rows.

    A question to a missing SQLite database would create an empty file.
    """
    if connection.vendor == "sqlite" and not Path(database_name()).exists():
        return False
    return has_all_migrations(django_settings.CCPROXY_MIGRATED_APPS, read) and is_filled()


def database(*, ready: bool) -> Finding:
    """Return if the database has the tables of this version."""
    name = database_name()
    if not ready:
        text = f"{name} is missing, or of another version"
        return Finding("database", Level.NOTE, text, "ccproxy init makes or migrates it")
    path = Path(name)
    held = f", {size(path.stat().st_size)}" if path.is_file() else ""
    return Finding("database", Level.OK, f"{name} is up to date{held}")


def newest_flow() -> datetime | None:
    """Return the start of the newest recorded flow."""
    return Flow.objects.order_by("-started_at").values_list("started_at", flat=True).first()


def recording(settings: ServerSettings) -> Iterator[Finding]:
    """Yield why a running proxy does not record."""
    if problem := recording_problem(settings.host, settings.port):
        yield Finding("recording", Level.FAILURE, problem, "ccproxy logs -n 50 shows more")


def credentials() -> Iterator[Finding]:
    """Yield the state of each enabled provider's credential."""
    for row in board_rows(timezone.now()):
        if row.provider.enabled:
            yield _credential(row)


def _credential(row: BoardRow) -> Finding:
    check = f"provider {row.provider.name}"
    if row.unset_variable:
        return Finding(check, Level.NOTE, row.state_in_words, row.fix)
    if not row.is_bad and not row.is_renewable and row.expires_at is not None:
        text = f"{row.state} until {row.expires_at:%Y-%m-%d %H:%M} UTC, and cannot be renewed"
        return Finding(check, Level.NOTE, text, f"ccproxy loginprovider {row.provider.name}")
    if not row.is_bad:
        return Finding(check, Level.OK, row.state)
    # A provider that nobody uses needs no credential: this alone is no failure.
    level = Level.FAILURE if row.refusals or row.error else Level.NOTE
    text = f"{row.state}: {row.error}" if row.error else row.state
    return Finding(check, level, text, row.fix)
