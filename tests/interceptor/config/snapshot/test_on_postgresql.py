"""The watcher and the versions of shapes on PostgreSQL: their tests run once more on a server."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.environment import ROOT
from tests.fakes.postgres import postgres
from tests.ports import free_port

FILES = ("test_heartbeat.py", "test_load_and_watch.py")
ONLY_THERE = "test_a_server_that_was_restarted_is_reached_again"


def test_the_watcher_works_there_too() -> None:
    paths = [str(ROOT / "tests/interceptor/config/snapshot" / name) for name in FILES]
    # They repeat conditions of partial indexes as SQL.
    paths.append(str(ROOT / "tests/shapes/test_versions.py"))
    with postgres(free_port()) as url:
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-n0", "-v", "-p", "no:cacheprovider", *paths],
            env={**os.environ, "CCPROXY_TEST_DATABASE_URL": url},
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    assert f"{ONLY_THERE} PASSED" in run.stdout
