"""`status` and `flows list` load no Django, and like `run` nothing that checks all settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from interceptor.operate.command_settings import SETTLED_AFTER_S
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


LOADED = """
import json, os, sys
from ccproxy_site import cli

def tell(*_):
    sys.stderr.write(json.dumps([*sys.modules]))
    sys.stderr.flush()
    os._exit(0)

# Where `run` would become the command.
os.execvpe = tell
assert cli._product(json.loads(sys.argv[1])) == 0
tell()
"""
SLOW = {"dj_database_url", "difflib", "django", "http.client", "pydantic", "ssl", "yaml"}


@pytest.mark.parametrize("words", [["status"], ["flows", "list"], ["run", "-q", "--", "true"]])
def test_a_second_command_checks_no_settings(ccproxy, port, words):
    """The first one keeps what it found."""
    ccproxy("init")
    file = ccproxy.directory / "ccproxy.yaml"
    then = file.stat().st_mtime - 2 * SETTLED_AFTER_S
    os.utime(file, (then, then))

    def loaded() -> set[str]:
        done = subprocess.run(
            [sys.executable, "-c", LOADED, json.dumps(words)],
            capture_output=True,
            text=True,
            env=ccproxy.environ(CCPROXY_PORT=port),
            timeout=PATIENCE_S,
        )
        return set(json.loads(done.stderr))

    assert "pydantic" in loaded()
    assert sorted(loaded() & SLOW) == []
