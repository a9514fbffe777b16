"""The record on PostgreSQL: the tests of the writer, retention, bodies, filters and usage run once
more on a server.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.environment import ROOT
from tests.fakes.postgres import postgres
from tests.ports import free_port

FILES = (
    "writer/test_thread.py",
    "writer/test_retention.py",
    "bodies/test_delta_chain.py",
    "queries/test_filters.py",
    "reading/test_token_usage.py",
    "reading/test_search_text.py",
    "search/test_search.py",
    "test_parts_migration.py",
    "imports/test_importer.py",
)
FEWEST_TESTS = 60


def test_the_record_works_there_too() -> None:
    paths = [str(ROOT / "tests/flows" / name) for name in FILES]
    with postgres(free_port()) as url:
        run = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-n0",
                "-q",
                "-r",
                "N",
                "-p",
                "no:cacheprovider",
                "--no-header",
                *paths,
            ],
            env={**os.environ, "CCPROXY_TEST_DATABASE_URL": url},
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    told = run.stdout.splitlines()[-1]
    assert int(told.split()[0]) >= FEWEST_TESTS, told
    assert "skipped" in told, "the tests about SQLite's file say that this is another database"
