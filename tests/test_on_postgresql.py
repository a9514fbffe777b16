"""Tests that run once more on a PostgreSQL server: the record, the watcher, versions of shapes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.environment import ROOT
from tests.fakes.postgres import postgres
from tests.ports import free_port

RECORD = (
    "flows/writer/test_thread.py",
    "flows/writer/test_retention.py",
    "flows/bodies/test_delta_chain.py",
    "flows/queries/test_filters.py",
    "flows/reading/test_token_usage.py",
    "flows/reading/test_search_text.py",
    "flows/search/test_search.py",
    "flows/test_parts_migration.py",
    "flows/imports/test_importer.py",
)
"""Writer, retention, bodies, filters and usage."""
FILES = (
    *RECORD,
    "flows/figures/test_run_sums.py",
    "flows/lineage/test_rest_look.py",
    "interceptor/config/snapshot/test_heartbeat.py",
    "interceptor/config/snapshot/test_load_and_watch.py",
    # They repeat conditions of partial indexes as SQL.
    "shapes/test_versions.py",
)
PLUGINS = ("-p", "no:cacheprovider", "-p", "tests.database_tests")
FEWEST_TESTS_OF_THE_RECORD = 60
ONLY_THERE = "test_a_server_that_was_restarted_is_reached_again"


@pytest.mark.timeout(2 * 600)
def test_they_pass_there_too() -> None:
    """One server and one start serve all files: their tables take seconds to make."""
    paths = [str(ROOT / "tests" / name) for name in FILES]
    with postgres(free_port(), has_tables=True) as url:
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-n0", "-v", *PLUGINS, *paths],
            # Properties were tried with more examples on SQLite.
            env={"CCPROXY_TEST_EXAMPLES": "4", **os.environ, "CCPROXY_TEST_DATABASE_URL": url},
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    lines = run.stdout.splitlines()
    of_the_record = [line for line in lines if line.startswith(tuple(f"tests/{f}" for f in RECORD))]
    passed = [line for line in of_the_record if " PASSED" in line]
    assert len(passed) >= FEWEST_TESTS_OF_THE_RECORD, run.stdout[-2000:]
    # Those about SQLite's file say that this is another database.
    assert any(" SKIPPED" in line for line in of_the_record), run.stdout[-2000:]
    assert f"{ONLY_THERE} PASSED" in run.stdout
