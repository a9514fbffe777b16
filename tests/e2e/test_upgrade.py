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
from pathlib import Path
from typing import Any

import httpx
import pytest

from interceptor.config.transfer.new_tables import STATEMENTS_FILE
from tests.e2e import steps
from tests.e2e.conftest import REAL_KEY
from tests.e2e.process import Interceptor, running, wait_until
from tests.fakes.upstream import Upstream
from tests.patience import PATIENCE_S
from tests.warm.starter import start_script

LANDED = Path(__file__).parent / "landed"
FLOWS = 7
# Demos that send more than the first ones.
FLOWS_OF = {"seventh": 21}
NAMES = sorted(path.stem for path in LANDED.iterdir())
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


@pytest.mark.parametrize("name", NAMES)
def test_a_database_of_a_landed_version(name: str, upstream: Upstream, tmp_path: Path) -> None:
    """Its tables become those of a new database, so new flows go the same way in all of them."""
    site = Interceptor(tmp_path, "", "--no-console")
    restore(name, site, upstream)
    notes = site.call(steps.bring_up_to_date)
    assert any("mended the database" in note for note in notes) == (name in BROKEN), notes
    assert tables_of(site.database) == new_tables()
    check_flows(name, site, site.flows())


@pytest.mark.parametrize("name", ["first", "seventh"])
def test_a_start_brings_it_up_to_date(name: str, upstream: Upstream, tmp_path: Path) -> None:
    """One whose tables must be mended, and one that was well."""
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
        wait_until(lambda: all(flow["searched"] for flow in site.flows()), "flows are indexed")
        check_flows(name, site, [flow for flow in site.flows() if flow["id"] != new["id"]])
    assert ("mended the database" in site.log) == (name in BROKEN), site.log


def check_flows(name: str, site: Interceptor, flows: list[dict[str, Any]]) -> None:
    """They are complete, and found by their words."""
    assert len(flows) == FLOWS_OF.get(name, FLOWS)
    for flow in flows:
        assert flow["searched"]
        sides = site.sides(flow["id"])
        assert b'"model"' in sides["client"]["body"] or "models" in flow["path"]
        assert sides["delivered"]["body"]
        assert site.traces(flow["id"])


def new_tables() -> dict[str, Any]:
    """Return what `tables_of` a database says that is made today."""
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.executescript(STATEMENTS_FILE.read_text())
        return _tables(database)


def tables_of(path: Path) -> dict[str, Any]:
    """Return tables with their columns, and the statements of all else; the order says nothing."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        return _tables(database)


def _tables(database: sqlite3.Connection) -> dict[str, Any]:
    found = database.execute(
        "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
    )
    statements = {name: " ".join(sql.split()) for name, sql in found}
    tables = {name for name, sql in statements.items() if sql.startswith("CREATE TABLE")}
    # Name, type, whether it may be null, default and place in the primary key (PRAGMA table_xinfo).
    columns = {
        name: sorted(row[1:6] for row in database.execute(f'PRAGMA table_xinfo("{name}")'))
        for name in tables
    }
    return {**statements, **columns}


def test_a_terminal_sees_the_migrations_and_a_file_does_not(
    upstream: Upstream, tmp_path: Path
) -> None:
    site = Interceptor(tmp_path, "", "--no-console")
    restore("seventh", site, upstream)
    before = site.database.read_bytes()
    shown, printed = sessions_on_a_terminal(site)
    assert b"Session" in printed
    steps_shown = re.findall(r"(\d+) of (\d+): \w+\.\w+", shown)
    total = steps_shown[0][1]
    assert len(steps_shown) > 1
    assert steps_shown == [(str(number), total) for number in range(1, len(steps_shown) + 1)]
    assert steps_shown[-1][0] == total
    assert shown.endswith("\r\x1b[K")
    site.database.write_bytes(before)
    again = site.command("sessions")
    assert "Session" in again.stdout
    assert again.stderr == ""


def sessions_on_a_terminal(site: Interceptor) -> tuple[str, bytes]:
    """Run `sessions` with its errors on a terminal: what that shows, and the output."""
    ours, theirs = pty.openpty()
    output = site.folder / "sessions.txt"
    with os.fdopen(ours, "rb", buffering=0) as screen, output.open("wb") as file:
        process = start_script(
            [*site.program, "sessions"],
            env=site.environ,
            cwd=site.cwd,
            files=(file.fileno(), file.fileno(), theirs),
        )
        assert process.wait(PATIENCE_S) == 0
        shown = screen.read(65536).decode()
        os.close(theirs)
    return shown, output.read_bytes()
