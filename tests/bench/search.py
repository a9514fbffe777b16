"""The search index at its size: agents' sessions whose requests repeat the conversation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from tests.bench.result import OPTIONS, Figure

TITLE = "The search index: its share, its cost, searches, pages"
FLOWS = 100_000
QUICK_FLOWS = 4_000


def figures() -> Iterator[Figure]:
    """Ten minutes on a quiet machine, with `--quick` two."""
    count = QUICK_FLOWS if OPTIONS.quick else FLOWS
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    with tempfile.TemporaryDirectory(prefix="ccproxy-bench-") as config:
        command = [sys.executable, "-m", "tests.bench.search_child", str(count)]
        environment = {**kept, "CCPROXY_CONFIG_DIR": config}
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            for line in process.stdout or ():
                yield Figure(**json.loads(line))
    if process.returncode:
        raise RuntimeError(f"tests.bench.search_child ended with {process.returncode}")
