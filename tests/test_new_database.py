"""Databases of a test run are made by the prepared statements, unless those are behind."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from interceptor.config.transfer import new_tables
from tests import new_database


@pytest.fixture
def migrated(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Directories in which the migrations would have run."""
    found: list[Path] = []
    monkeypatch.setattr(new_database, "migrate", found.append)
    return found


def test_no_migration_runs(tmp_path: Path, migrated: list[Path]) -> None:
    new_database._make_tables(tmp_path / "made")
    with closing(sqlite3.connect(tmp_path / "made" / new_database.NAME)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("SELECT count(*) FROM flows_flow").fetchone() == (0,)
        assert database.execute("SELECT count(*) FROM auth_permission").fetchone() > (100,)
    assert migrated == []


def test_they_run_where_statements_are_behind(
    tmp_path: Path, migrated: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = new_tables.STATEMENTS_FILE.read_text().splitlines(keepends=True)
    newest = max(n for n, line in enumerate(lines) if "django_migrations" in line)
    behind = tmp_path / "behind.sql"
    behind.write_text("".join(lines[:newest] + lines[newest + 1 :]))
    monkeypatch.setattr(new_tables, "STATEMENTS_FILE", behind)
    new_database._make_tables(tmp_path / "made")
    assert migrated == [tmp_path / "made"]
