"""The record at its size: 100,000 flows of 20 KB on SQLite and on PostgreSQL, and an agent's
session on the disk.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

from tests.bench.result import OPTIONS, Figure
from tests.fakes.postgres import postgres
from tests.ports import free_port

TITLE = "The record: pages, search, exports, clearing, storage"
FLOWS = 100_000
QUICK_FLOWS = 10_000


def figures() -> Iterator[Figure]:
    """The session first, then either database; about ten minutes, with `--quick` three."""
    count = QUICK_FLOWS if OPTIONS.quick else FLOWS
    yield from _measured("session", "tests.bench.flow_session", {})
    for database in ("SQLite", "PostgreSQL"):
        with ExitStack() as stack:
            url = stack.enter_context(postgres(free_port())) if database == "PostgreSQL" else ""
            yield from _measured(
                database, "tests.bench.flow_child", {"DATABASE_URL": url}, str(count)
            )


def _measured(
    name: str, module: str, environment: dict[str, str], *arguments: str
) -> Iterator[Figure]:
    """The figures that a process with a record of its own prints."""
    with tempfile.TemporaryDirectory(prefix="ccproxy-bench-") as config:
        kept = {
            key: value
            for key, value in os.environ.items()
            if key not in ("DATABASE_URL", "REDIS_URL")
        }
        extra = {key: value for key, value in environment.items() if value}
        with subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env={**kept, **extra, "CCPROXY_CONFIG_DIR": config},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            for line in process.stdout or ():
                found = Figure(**json.loads(line))
                yield replace(found, what=f"{name}: {found.what}")
    if process.returncode:
        raise RuntimeError(f"{module} ended with {process.returncode}")
