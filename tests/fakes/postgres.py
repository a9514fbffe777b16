"""A PostgreSQL server of one test run, where the machine has one.

Servers start from copies of one cluster, which the first one of a run makes: `initdb` and the
migrations take four seconds of CPU time. Its `template1` has the tables and no rows, so a database
has them from `CREATE DATABASE` on, unless it names `template0` as its template.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from providers.base.file_lock import FileLock
from tests.environment import need
from tests.new_database import FOLDER, migrate
from tests.patience import PATIENCE_S
from tests.ports import free_port

OWNER = "ccproxy"


def _program(name: str) -> str | None:
    """A program of the server; Debian keeps them out of the PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(versions[-1]) if versions else None)


@contextmanager
def postgres(port: int, *, has_tables: bool = False) -> Iterator[str]:
    """A fresh server on loopback; yields the URL of its database.

    `has_tables`: the database has the tables of ccproxy and no rows; else it is empty.
    """
    need("a PostgreSQL server", bool(_program("initdb") and _program("postgres")))
    folder = _new_folder(Path(tempfile.gettempdir()))
    try:
        if kept := os.environ.get(FOLDER):
            subprocess.run(["cp", "-a", _migrated(Path(kept)) / "data", folder], check=True)
        else:
            _make_cluster(folder)
        with _serving(folder, port) as url:
            _make_database(url, "template1" if has_tables else "template0")
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _user() -> str | None:
    """The server refuses to run as root."""
    return "postgres" if os.geteuid() == 0 else None


def _new_folder(parent: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="ccproxy-pg-", dir=parent))
    folder.chmod(0o755)
    if user := _user():
        shutil.chown(folder, user)
    return folder


def _migrated(run: Path) -> Path:
    """Return the folder of the cluster that is copied; the first caller makes it."""
    made = run / "postgresql"
    run.mkdir(exist_ok=True)
    with FileLock(run / "postgresql.lock"):
        if not made.exists():
            # In the temporary folder of all users: the server may not enter the run's.
            folder = _new_folder(Path(tempfile.gettempdir()))
            try:
                _make_cluster(folder)
                with _serving(folder, free_port()) as url:
                    migrate(run / "of-postgresql", _database(url, "template1"))
                subprocess.run(["cp", "-a", folder, made], check=True)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    return made


def _make_cluster(folder: Path) -> None:
    arguments = [str(_program("initdb")), "-D", str(folder / "data"), "-U", OWNER]
    subprocess.run(
        [*arguments, "-A", "trust", "--no-sync"],
        user=_user(),
        check=True,
        capture_output=True,
        cwd="/",
    )


@contextmanager
def _serving(folder: Path, port: int) -> Iterator[str]:
    """A server of this folder's cluster; yields the URL that its owner's database will have."""
    process = subprocess.Popen(
        [
            str(_program("postgres")),
            "-D",
            str(folder / "data"),
            "-p",
            str(port),
            "-h",
            "127.0.0.1",
            "-k",
            str(folder),
            "-F",
        ],
        user=_user(),
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"postgresql://{OWNER}@127.0.0.1:{port}/{OWNER}"
        _wait(_database(url, "template1"))
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _database(url: str, name: str) -> str:
    """Return the URL of another database of the same server."""
    return f"{url.rpartition('/')[0]}/{name}"


def _make_database(url: str, template: str) -> None:
    with psycopg.connect(_database(url, "postgres"), autocommit=True) as connection:
        connection.execute(f"create database {OWNER} template {template}".encode())


def _wait(url: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "PostgreSQL did not start"
            time.sleep(0.1)
