"""The prepared tables of a new database are those that the migrations make."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from django.conf import settings

from interceptor.config.transfer.migration_names import brought_migrations
from interceptor.config.transfer.new_tables import STATEMENTS_FILE, made_by
from tests.environment import ROOT
from tests.new_database import NAME, migrate
from tests.new_tables import statements_of

_OPEN = """
import json
from pathlib import Path

import django
django.setup()

from interceptor.config.transfer import new_tables
from interceptor.config.transfer.database import ensure_database

new_tables.STATEMENTS_FILE = Path("{statements}")
print(json.dumps(ensure_database().created))
"""


def test_a_new_migration_needs_new_statements() -> None:
    made = made_by(STATEMENTS_FILE.read_text())
    assert made == brought_migrations(settings.CCPROXY_MIGRATED_APPS), "run: make tables"


def test_the_statements_describe_a_migrated_database(tmp_path: Path) -> None:
    migrate(tmp_path)
    migrated = statements_of(tmp_path / NAME)
    assert STATEMENTS_FILE.read_text().splitlines() == migrated, "run: make tables"


def test_the_statements_make_that_database(tmp_path: Path) -> None:
    text = STATEMENTS_FILE.read_text()
    with closing(sqlite3.connect(tmp_path / NAME)) as database:
        database.executescript(text)
        (problem,) = database.execute("PRAGMA integrity_check").fetchone()
        assert problem == "ok"
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    assert statements_of(tmp_path / NAME) == text.splitlines()


def opened(directory: Path, statements: str) -> list[str]:
    """What a process of the command line makes of a new database with these statements."""
    path = directory / "statements.sql"
    path.write_text(statements)
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", _OPEN.format(statements=path)],
        env={
            **kept,
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "ccproxy_site.settings",
            "CCPROXY_CONFIG_DIR": str(directory),
            "CCPROXY_ROLE": "cli",
        },
        capture_output=True,
        check=True,
        text=True,
    )
    assert json.loads(done.stdout) is True
    return tables(statements_of(directory / NAME))


def tables(statements: list[str]) -> list[str]:
    return [line for line in statements if line.startswith("CREATE")]


def test_the_migrations_run_where_a_statement_fails(tmp_path: Path) -> None:
    text = STATEMENTS_FILE.read_text()
    made = opened(tmp_path, text + "CREATE VIRTUAL TABLE t USING absent(a);\n")
    assert made == tables(text.splitlines())


def test_migrations_behind_the_statements_run_too(tmp_path: Path) -> None:
    lines = STATEMENTS_FILE.read_text().splitlines()
    # One application less, and a table that only the statements make.
    earlier = [line for line in lines if "ccproxy_site" not in line or "content_type" in line]
    mark = 'CREATE TABLE "made_by_statements" ("id" integer);'
    made = opened(tmp_path, "".join(f"{line}\n" for line in [*earlier, mark]))
    assert sorted(made) == sorted([*tables(lines), mark])
