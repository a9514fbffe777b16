"""The limit on open files."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
from interceptor.operate.open_files import raise_open_files_limit
print(raise_open_files_limit(), hard)
"""


def test_the_limit_is_raised_as_far_as_it_may() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    limit, hard = map(int, done.stdout.split())
    assert limit == (min(hard, 65_536) if hard > 0 else 65_536)
    assert limit > 256
