"""The query of `DATABASE_URL` reaches the server, and a URL of no use is refused without being shown."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.utils import ConnectionHandler, OperationalError, ProgrammingError

from ccproxy_site.database_url import database_from_url
from providers.base.errors import ConfigError
from tests.environment import ROOT
from tests.fakes.postgres import postgres
from tests.ports import free_port

DIRECTORY = Path("/somewhere")


@pytest.fixture(scope="module")
def server(django_db_blocker: Any) -> Iterator[str]:
    """A server without TLS; Django may open connections to it."""
    with postgres(free_port()) as url, django_db_blocker.unblock():
        yield url


def answer(url: str, query: str) -> Any:
    """The first value that the server answers, over a connection that Django opens."""
    connection = ConnectionHandler({"default": database_from_url(url, DIRECTORY)})["default"]
    assert isinstance(connection, DatabaseWrapper)
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchone()[0]
    finally:
        connection.close()


def test_tls_is_demanded_of_the_server(server: str) -> None:
    assert answer(f"{server}?sslmode=disable", "SELECT 1") == 1
    with pytest.raises(OperationalError, match="does not support SSL"):
        answer(f"{server}?sslmode=require", "SELECT 1")


def test_options_reach_the_session(server: str) -> None:
    query = "?options=-c%20statement_timeout%3D4321&application_name=a%20b&connect_timeout=7"
    assert answer(server + query, "SHOW statement_timeout") == "4321ms"
    assert answer(server + query, "SHOW application_name") == "a b"
    assert database_from_url(server + query, DIRECTORY)["OPTIONS"]["connect_timeout"] == 7


def test_an_unknown_parameter_is_named(server: str) -> None:
    with pytest.raises(ProgrammingError, match="nonsense"):
        answer(f"{server}?nonsense=1", "SELECT 1")


@pytest.mark.parametrize(("mode", "code"), [("require", 1), ("disable", 0)])
def test_every_command_uses_the_query(server: str, tmp_path: Path, mode: str, code: int) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE for_{mode}".encode())
    run = subprocess.run(
        [sys.executable, "manage.py", "migrate", "contenttypes"],
        env={
            **os.environ,
            "CCPROXY_CONFIG_DIR": str(tmp_path),
            "DATABASE_URL": f"{server.replace('/postgres', f'/for_{mode}')}?sslmode={mode}",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == code, run.stderr
    assert ("does not support SSL" in run.stderr) == (mode == "require")


def test_the_parts_of_a_url() -> None:
    entry = database_from_url("postgres://ad%40a:p%2Fw@db.internal:6543/flows%20a", DIRECTORY)
    assert (entry["USER"], entry["PASSWORD"], entry["HOST"]) == ("ad@a", "p/w", "db.internal")
    assert (entry["PORT"], entry["NAME"], entry["CONN_MAX_AGE"]) == (6543, "flows a", 60)
    socket = database_from_url("postgresql://%2Frun%2Fpg/flows", DIRECTORY)
    assert (socket["HOST"], socket["PORT"]) == ("/run/pg", "")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("", "/somewhere/ccproxy.sqlite3"),
        ("sqlite:////var/a%20b.sqlite3", "/var/a b.sqlite3"),
        ("sqlite:///near.sqlite3", "near.sqlite3"),
    ],
)
def test_sqlite(url: str, name: str) -> None:
    entry = database_from_url(url, DIRECTORY)
    assert (entry["ENGINE"], entry["NAME"]) == ("django.db.backends.sqlite3", name)
    assert entry["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert entry["TEST"] == {"NAME": "/somewhere/test.sqlite3"}


def test_a_parameter_of_sqlite_replaces_the_default() -> None:
    entry = database_from_url("sqlite:////a.sqlite3?timeout=5", DIRECTORY)
    assert entry["OPTIONS"]["timeout"] == 5
    assert database_from_url("", DIRECTORY)["OPTIONS"]["timeout"] == 20


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mysql://u:hush@h/db", "must begin with"),
        ("hush", "must begin with"),
        ("postgresql://u:hu#sh@h/db", "special characters"),
        ("postgresql://u:hush@h:port/db", "special characters"),
        ("postgresql://u:hush@[h/db", "special characters"),
        ("sqlite://", "must name a file"),
        ("sqlite://:memory:", "must name a file"),
        ("sqlite:////a.sqlite3?sslmode=require", "no parameter sslmode"),
    ],
)
def test_what_is_no_database_is_refused_and_not_shown(url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        database_from_url(url, DIRECTORY)
    assert "hu" not in str(caught.value)
