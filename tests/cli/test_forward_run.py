"""`ccproxy run --forward` as a user types it, on a fresh account."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path

from tests.fakes.certificates import make_authority
from tests.fakes.upstream import Upstream

OWN = "sk-ant-own-71c3aa90be22d4f6"
AGENT = """
import os, sys, urllib.request
request = urllib.request.Request("https://api.anthropic.com/v1/messages", b'{"model": "m"}', {
    "x-api-key": os.environ["ANTHROPIC_API_KEY"], "content-type": "application/json"})
with urllib.request.urlopen(request) as response:
    response.read()
with urllib.request.urlopen("https://files.other.test/health") as response:
    response.read()
print(os.environ.get("ANTHROPIC_BASE_URL"), os.environ["https_proxy"])
sys.exit(3)
"""


def test_an_agent_is_seen_without_a_base_url(ccproxy, tmp_path: Path) -> None:
    authority = make_authority(tmp_path, "api.anthropic.com", "files.other.test")
    with Upstream(authority.server_context(["http/1.1"])) as vendor:
        at = f"127.0.0.1:{vendor.port}"
        done = ccproxy(
            "run", "--forward", "--", sys.executable, "-c", AGENT,
            ANTHROPIC_API_KEY=OWN,
            # The command trusts what the user trusts, beside the proxy's own authority.
            SSL_CERT_FILE=str(authority.ca_file),
            CCPROXY_INSPECTOR__UPSTREAM_OVERRIDES=json.dumps(
                {"api.anthropic.com": at, "files.other.test": at}
            ),
            CCPROXY_INSPECTOR__MITMPROXY__SSL_VERIFY_UPSTREAM_TRUSTED_CA=str(authority.ca_file),
        )  # fmt: skip
        assert done.returncode == 3, done.stderr
        message, file = vendor.requests
    assert done.stdout.startswith("None http://run:")
    assert (message.header("x-api-key"), message.body) == (OWN, b'{"model": "m"}')
    assert file.target == "/health"
    first, last = done.stderr.splitlines()
    assert "/flows/?run=" in first and "request" in last
    with sqlite3.connect(ccproxy.directory / "ccproxy.sqlite3") as database:
        rows = database.execute(
            "select method, source, host, action, run_command from flows_flow order by started_at"
        ).fetchall()
        stored = "".join(str(row) for row in database.execute("select * from flows_flowparts"))
    assert [row[:4] for row in rows] == [
        ("POST", "forward", "api.anthropic.com", "passthrough"),
        ("TCP", "forward", "files.other.test", "passthrough"),
    ]
    password = done.stdout.partition("run:")[2].partition("@")[0]
    assert password not in stored and OWN not in stored
    assert all(sys.executable in row[4] for row in rows)


def test_print_and_mistakes(ccproxy) -> None:
    done = ccproxy("run", "--forward", "--print", "--", "claude", "-p", "hi")
    lines = done.stdout.splitlines()
    assert "HTTPS_PROXY=http://run:PASSWORD@127.0.0.1:PORT" in lines
    assert "NODE_USE_ENV_PROXY=1" in lines and lines[-1] == "claude -p hi"
    assert not (ccproxy.directory / "run").exists()
    done = ccproxy("run", "--all", "--", "true")
    assert (done.returncode, done.stdout) == (1, "") and "add --forward" in done.stderr
