"""A database that any landed version made is opened, keeps its flows, and takes new ones.

`landed/` holds one small database of each landed version as SQL: the flows of its own `demo`.
A version that lands adds its own and changes none.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import sqlite3
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import REAL_KEY
from tests.e2e.process import Interceptor, running, wait_until
from tests.fakes.upstream import Upstream

LANDED = Path(__file__).parent / "landed"
FLOWS = 7
# Demos that send more than the first ones.
FLOWS_OF = {"seventh": 21}
# The versions after the first changed its migrations; to them its database looked complete.
BROKEN = {"first", "first_opened_by_fourth"}


def restore(name: str, site: Interceptor, upstream: Upstream) -> None:
    """Make the database, with its demo provider moved to the scripted one."""
    with contextlib.closing(sqlite3.connect(site.database)) as connection:
        connection.executescript((LANDED / f"{name}.sql").read_text())
        connection.execute(
            "UPDATE providers_provider SET enabled = 1, port = ?, auth_type = 'command',"
            " auth_config = ?, auth_header = 'x-api-key' WHERE name = 'demo'",
            (upstream.port, f'{{"command": "echo {REAL_KEY}"}}'),
        )
        connection.commit()
    site.database.chmod(0o600)


@pytest.mark.parametrize("name", sorted(path.stem for path in LANDED.iterdir()))
def test_a_database_of_a_landed_version(name: str, upstream: Upstream, tmp_path: Path) -> None:
    site = Interceptor(tmp_path, "", "--no-console")
    restore(name, site, upstream)
    with running(site):
        reply = httpx.post(
            f"{site.url}/v1/messages",
            json={"model": "demo", "max_tokens": 9, "messages": []},
            headers={"x-api-key": "sk-ccproxy-demo"},
            trust_env=False,
        )
        assert reply.status_code == 200, reply.text
        new = site.flow(reply.headers["x-ccproxy-flow"])
        assert new["state"] == "done"
        old = [flow for flow in site.flows() if flow["id"] != new["id"]]
        assert len(old) == FLOWS_OF.get(name, FLOWS)
        for flow in old:
            sides = site.sides(flow["id"])
            assert b'"model"' in sides["client"]["body"] or "models" in flow["path"]
            assert sides["delivered"]["body"]
            assert site.traces(flow["id"])
        wait_until(lambda: all(flow["searched"] for flow in site.flows()), "flows are indexed")
    assert ("mended the database" in site.log) == (name in BROKEN), site.log


def test_a_terminal_sees_the_migrations_and_a_file_does_not(
    upstream: Upstream, tmp_path: Path
) -> None:
    site = Interceptor(tmp_path, "", "--no-console")
    restore("seventh", site, upstream)
    before = site.database.read_bytes()
    command = [*site.program, "sessions"]
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        done = subprocess.run(
            command,
            env=site.environ,
            cwd=site.cwd,
            stdout=subprocess.PIPE,
            stderr=theirs,
            check=True,
        )
        shown = screen.read(65536).decode()
        os.close(theirs)
    assert b"Session" in done.stdout
    steps = re.findall(r"(\d+) of (\d+): \w+\.\w+", shown)
    assert len(steps) > 1
    assert steps == [(str(number), steps[0][1]) for number in range(1, len(steps) + 1)]
    assert steps[-1][0] == steps[-1][1]
    assert shown.endswith("\r\x1b[K")
    site.database.write_bytes(before)
    again = subprocess.run(command, env=site.environ, cwd=site.cwd, capture_output=True, check=True)
    assert b"Session" in again.stdout
    assert again.stderr == b""
