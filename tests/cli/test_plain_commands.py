"""`status` and `flows list` load no Django."""

from __future__ import annotations

import subprocess
import sys

from tests.patience import PATIENCE_S

PROGRAM = """
import sys
from ccproxy_site.cli import _product
for words in (["status"], ["flows", "list"], ["flows", "list", "-n", "3"]):
    assert _product(words) == 0
    assert "django" not in sys.modules, words
sys.stdout.write("lists\\n")
_product(["flows", "list", "--json"])
assert "django" in sys.modules
"""


def test_they_read_without_django(ccproxy):
    # The first command fills the tables, which needs Django.
    ccproxy("init")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        env=ccproxy.environ(),
        timeout=PATIENCE_S,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "inject_auth → extract_session_id" in done.stdout
    assert done.stdout.count("No flows are recorded yet.\n") == 2
    assert done.stdout.endswith("lists\n[]\n")
