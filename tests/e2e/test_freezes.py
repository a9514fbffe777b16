"""What freezes the database or the console costs no request and no flow."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from tests.e2e import steps
from tests.e2e.conftest import config_for
from tests.e2e.console import Console
from tests.e2e.locked import locked
from tests.e2e.process import Interceptor, running, wait_until
from tests.e2e.steady_load import Load, answer, losses
from tests.fakes.postgres import postgres
from tests.fakes.upstream import Upstream
from tests.ports import free_port

IMPORTED_AT = datetime.now(UTC) - timedelta(days=1)
BEFORE = IMPORTED_AT + timedelta(hours=1)
MEANWHILE = 25
"""Requests that are answered while something is frozen or at work."""


@pytest.fixture(scope="module")
def site(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interceptor]:
    folder = tmp_path_factory.mktemp("freezes")
    with running(Interceptor(folder, config_for(upstream, folder))) as process:
        yield process


@pytest.fixture(autouse=True)
def _fresh_answers(upstream: Upstream, _fresh_scripts: None) -> None:
    upstream.scripts["/v1/messages"] = answer


def check(load: Load) -> None:
    """Every request was answered, and is in the record."""
    assert load.broken == load.refused == []
    assert not losses(load.site, load)


def leave(site: Interceptor, head: str, body: bytes = b"") -> None:
    """Send the console a request, and go away without waiting for the response."""
    with socket.create_connection(("127.0.0.1", site.console_port)) as client:
        client.sendall(f"{head}\r\nHost: 127.0.0.1:{site.console_port}\r\n\r\n".encode() + body)


def har(flows: int, size_bytes: int) -> bytes:
    """A capture whose bodies differ."""
    entries = []
    for number in range(flows):
        content = {"mimeType": "text/plain", "text": secrets.token_hex(size_bytes // 2)}
        request = {"method": "GET", "url": f"http://imported.example/{number}"}
        entries.append(
            {
                "startedDateTime": IMPORTED_AT.isoformat(),
                "request": request,
                "response": {"status": 200, "content": content},
            }
        )
    return json.dumps({"log": {"version": "1.2", "entries": entries}}).encode()


def send_har(site: Interceptor, capture: bytes) -> None:
    with Console(site) as console:
        kind = {"content-type": "application/har+json"}
        reply = console.api.post("/api/flows/import/", content=capture, headers=kind)
        assert reply.status_code < 300, reply.text


def imported(site: Interceptor) -> int:
    (row,) = site.rows("select count(*) as n from flows_flow where host = 'imported.example'")
    return int(row["n"])


def test_a_locked_database(site: Interceptor) -> None:
    with Load(site, "locked") as load, locked(site.database):
        wait_until(lambda: site.health()["status"] == "degraded", "the lock is felt")
        load.go_on(MEANWHILE)
    check(load)


def test_an_import_whose_client_leaves(site: Interceptor) -> None:
    capture = har(40, 250_000)
    with Console(site) as console:
        head = (
            "POST /api/flows/import/ HTTP/1.1\r\nContent-Type: application/har+json\r\n"
            f"Authorization: Token {steps.API_TOKEN}\r\nContent-Length: {len(capture)}"
        )
        with Load(site, "left-import") as load:
            leave(site, head, capture)
            load.go_on(2 * MEANWHILE)
            assert console.get("/api/flows/")
    check(load)


def test_an_export(site: Interceptor) -> None:
    send_har(site, har(200, 20_000))
    with Console(site) as console, Load(site, "export") as load:
        exported = console.pages.get("/flows/har").json()
        load.go_on(MEANWHILE)
        leave(site, f"GET /flows/har HTTP/1.1\r\nCookie: {cookies(console)}")
        load.go_on(MEANWHILE)
    assert len(exported["log"]["entries"]) >= 200
    check(load)


def cookies(console: Console) -> str:
    return "; ".join(f"{name}={value}" for name, value in console.pages.cookies.items())


def test_clearing(site: Interceptor) -> None:
    send_har(site, har(500, 4_000))
    with Load(site, "clear") as load:
        load.go_on(1)
        cleared = site.command("flows", "clear", "--filter", f"before={BEFORE:%Y-%m-%dT%H:%M:%SZ}")
        assert cleared.returncode == 0, cleared.stderr
        load.go_on(MEANWHILE)
    assert imported(site) == 0
    check(load)


class OnPostgres(Interceptor):
    """An interceptor with a PostgreSQL database."""

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        url = self.environ["DATABASE_URL"]
        with psycopg.connect(url, row_factory=dict_row) as connection:
            return connection.execute(sql.replace("?", "%s").encode(), values).fetchall()


@contextlib.contextmanager
def stopped(url: str) -> Iterator[None]:
    """PostgreSQL's processes are stopped: it answers nobody, and closes nothing."""
    with psycopg.connect(url) as connection:
        row = connection.execute("show data_directory").fetchone()
    assert row is not None
    server = int(Path(row[0], "postmaster.pid").read_text().split()[0])
    pids = [server]
    try:
        # First: from here on no process of it begins, and one that ends keeps its number.
        os.kill(server, signal.SIGSTOP)
        pids += map(int, Path(f"/proc/{server}/task/{server}/children").read_text().split())
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def test_a_frozen_postgresql(upstream: Upstream, tmp_path: Path) -> None:
    with postgres(free_port(), has_tables=True) as url:
        site = OnPostgres(tmp_path, config_for(upstream, tmp_path), DATABASE_URL=url)
        with running(site), Console(site) as console:
            with Load(site) as load:
                load.go_on(1)
                with stopped(url):
                    leave(site, f"GET /flows/ HTTP/1.1\r\nCookie: {cookies(console)}")
                    with pytest.raises(httpx.TimeoutException):
                        console.pages.get("/flows/", timeout=0.5)
                    wait_until(lambda: site.health()["status"] == "degraded", "it is noticed")
                    load.go_on(MEANWHILE)
                wait_until(lambda: site.health()["status"] == "ok", "it is over")
                load.go_on(1)
            check(load)
