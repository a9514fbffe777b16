"""The limit on open files."""

from __future__ import annotations

import subprocess
import sys

from tests.environment import ROOT


def test_the_limit_is_raised_as_far_as_it_may() -> None:
    command = [sys.executable, "-m", "tests.interceptor.operate.raised_limit"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    limit, hard = map(int, done.stdout.split())
    assert limit == (min(hard, 65_536) if hard > 0 else 65_536)
    assert limit > 256
