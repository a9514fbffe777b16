"""`ccproxy init`, and the database that other commands make when it is missing."""

from __future__ import annotations

import fcntl
import sqlite3
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.calls import CCPROXY
from tests.cli.conftest import Cli
from tests.environment import need
from tests.patience import PATIENCE_S


@pytest.fixture
def ccproxy(bare_ccproxy: Cli) -> Cli:
    """The command before anything is set up."""
    return bare_ccproxy


@pytest.fixture
def prepared(ccproxy: Cli) -> Cli:
    """The command at a database whose tables are made, which saves two seconds of CPU time."""
    return replace(ccproxy, makes_tables=False)


def query(ccproxy: Cli, sql: str) -> list[Any]:
    with sqlite3.connect(ccproxy.directory / "ccproxy.sqlite3") as database:
        return database.execute(sql).fetchall()


def test_it_works(ccproxy):
    done = ccproxy("init")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"installed {ccproxy.directory}/ccproxy.yaml\n" in done.stdout
    assert f"installed {ccproxy.directory}/ccproxy.sqlite3 (5 providers)\n" in done.stdout
    assert "ccproxy start" in done.stdout
    providers = dict(query(ccproxy, "select name, auth_header from providers_provider"))
    assert providers["anthropic"] == "x-api-key"
    assert providers["google"] == "x-goog-api-key"
    again = ccproxy("init").stdout
    assert again.count("skipped") == 2


def test_files_are_their_owner_s_alone(ccproxy):
    subprocess.run(
        ["sh", "-c", 'umask 0; exec "$@"', "sh", *CCPROXY, "init"],
        env=ccproxy.environ(),
        check=True,
    )
    assert ccproxy.directory.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in ccproxy.directory.iterdir()}
    assert set(modes) >= {"ccproxy.yaml", "ccproxy.sqlite3", "django.key"}
    assert set(modes.values()) == {0o600}


def test_force_replaces_even_a_broken_file_and_keeps_the_database(prepared):
    prepared("init")
    path = prepared.directory / "ccproxy.yaml"
    path.write_text("nonsense: [\n")
    assert prepared("init").returncode == 1
    done = prepared("init", "--force")
    assert (done.returncode, done.stderr) == (0, "")
    assert "the one before is ccproxy.yaml.bak" in done.stdout
    assert path.with_name("ccproxy.yaml.bak").read_text() == "nonsense: [\n"
    assert path.read_text().startswith("# ccproxy server settings")
    assert query(prepared, "select count(*) from providers_provider") == [(5,)]


def test_a_new_database_takes_the_file_s_providers_and_hooks(ccproxy):
    ccproxy.directory.mkdir()
    (ccproxy.directory / "ccproxy.yaml").write_text(
        "providers: {mine: {host: h.example, type: openai}}\nhooks: [shape]\n"
    )
    done = ccproxy("init")
    assert "Note: imported 1 providers and 0 rules" in done.stdout
    assert query(ccproxy, "select name from providers_provider") == [("mine",)]
    assert query(ccproxy, "select name, enabled from interceptor_hooksetting") == [("shape", 1)]
    assert "Note" not in ccproxy("init").stdout


def test_edited_sections_are_not_ignored_silently(prepared):
    prepared("init")
    path = prepared.directory / "ccproxy.yaml"
    path.write_text("providers: {mine: {host: h.example, type: openai}}\n")
    assert "apply them with: ccproxy importconfig" in prepared("init").stdout
    assert "added   provider mine" in prepared("importconfig").stdout
    assert "importconfig" not in prepared("init").stdout


def test_the_first_command_sets_everything_up(ccproxy):
    assert ccproxy("flows", "list").stdout == "No flows are recorded yet.\n"
    assert (ccproxy.directory / "ccproxy.yaml").stat().st_mode & 0o777 == 0o600


def test_two_first_commands_at_once(ccproxy):
    command = [*CCPROXY, "flows", "list", "--json"]
    options = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
        "env": ccproxy.environ(),
    }
    both = [subprocess.Popen(command, **options) for _ in range(2)]
    assert [process.communicate(timeout=PATIENCE_S) for process in both] == [("[]\n", "")] * 2
    assert query(ccproxy, "select count(*) from providers_provider") == [(5,)]


def test_a_second_first_command_waits_for_the_first(ccproxy):
    need("/proc/locks", Path("/proc/locks").exists())
    ccproxy.directory.mkdir()
    with (ccproxy.directory / "database.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(
            [*CCPROXY, "flows", "list"], stdout=subprocess.PIPE, env=ccproxy.environ()
        )
        waits = False
        while process.poll() is None and not waits:
            waits = f"-> FLOCK  ADVISORY  WRITE {process.pid} " in Path("/proc/locks").read_text()
        assert waits
    assert process.communicate(timeout=PATIENCE_S)[0] == b"No flows are recorded yet.\n"


def test_an_older_file_is_closed_to_others(ccproxy):
    ccproxy.directory.mkdir()
    database = ccproxy.directory / "ccproxy.sqlite3"
    database.touch(0o644)
    ccproxy("flows", "list")
    assert database.stat().st_mode & 0o777 == 0o600
    database.chmod(0o644)
    ccproxy("flows", "list")
    assert database.stat().st_mode & 0o777 == 0o600


def test_a_newer_database_is_refused(prepared):
    prepared("init")
    query(
        prepared,
        "insert into django_migrations (app, name, applied) values ('flows', '9999_later',"
        " '2030-01-01')",
    )
    done = prepared("flows", "list")
    assert done.returncode == 1
    assert "was made by a newer ccproxy (flows 9999_later); update ccproxy" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_directory_that_cannot_be_written(ccproxy, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    done = ccproxy("init", CCPROXY_CONFIG_DIR=str(blocked / "cfg"))
    assert done.returncode == 1
    assert done.stderr.startswith("ccproxy: cannot ")
    assert done.stderr.count("\n") == 1


def test_a_file_that_is_no_database(ccproxy):
    ccproxy.directory.mkdir()
    (ccproxy.directory / "ccproxy.sqlite3").write_text(
        "this is no database, and long enough to be read as one" * 20
    )
    done = ccproxy("flows", "list")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        f"ccproxy: cannot use the database {ccproxy.directory}/ccproxy.sqlite3: "
    )
