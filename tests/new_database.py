"""Databases and authorities of new config directories, copied from what is made once in a test run.

A copy of the database has the tables and no rows: the process that opens it imports the configuration, as after its
own migrations.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from ccproxy_site.roles import Role, apps_of
from interceptor.config.transfer.migration_names import brought_migrations
from providers.base.file_lock import FileLock
from tests.environment import ROOT

FOLDER = "CCPROXY_TEST_TABLES"
"""Variable with the folder of the database that is copied; all workers of a run have the same."""
NAME = "ccproxy.sqlite3"


def put_tables(directory: Path) -> None:
    """Give a config directory a database without rows, unless it has one.

    Outside of a test run it stays as it is, and so does a directory that cannot be written.
    """
    folder = os.environ.get(FOLDER)
    database = directory / NAME
    if not folder or database.exists() or not os.access(directory, os.W_OK | os.X_OK):
        return
    shutil.copyfile(_migrated(Path(folder)), database)
    database.chmod(0o600)
    owner = directory.stat()
    os.chown(database, owner.st_uid, owner.st_gid)


def put_authority(directory: Path) -> None:
    """Give a config directory the authority of the test run, unless it has one.

    To make the key takes a tenth of the CPU time of a start.
    """
    folder = os.environ.get(FOLDER)
    if (
        not folder
        or list(directory.glob("mitmproxy-*"))
        or not os.access(directory, os.W_OK | os.X_OK)
    ):
        return
    # Most processes that import this module need no mitmproxy.
    from interceptor.operate.authority import make_authority

    made = Path(folder) / "authority"
    make_authority(made)
    owner = directory.stat()
    for file in made.glob("mitmproxy-*"):
        copy = shutil.copy(file, directory)
        os.chown(copy, owner.st_uid, owner.st_gid)


def copy_tables(database: sqlite3.Connection) -> None:
    """Copy the tables of a test run into an open database without tables."""
    with closing(sqlite3.connect(_migrated(Path(os.environ[FOLDER])))) as migrated:
        migrated.backup(database)


def _migrated(folder: Path) -> Path:
    """Return the database that is copied; the first caller makes it."""
    made = folder / "config" / NAME
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        if not made.exists():
            unfinished = folder / "unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            _make_tables(unfinished)
            unfinished.rename(made.parent)
    return made


def _make_tables(directory: Path) -> None:
    """Make them by the prepared statements, which a test compares with the migrations.

    The migrations take two seconds of CPU time, for which all workers of a run would wait. They run
    where `make tables` was forgotten.
    """
    # Processes that need no database import this module without Django's settings.
    from interceptor.config.transfer.new_tables import STATEMENTS_FILE, made_by

    text = STATEMENTS_FILE.read_text()
    if made_by(text) != brought_migrations(apps_of(Role.CONSOLE)):
        migrate(directory)
        return
    directory.mkdir(parents=True)
    with closing(sqlite3.connect(directory / NAME)) as database:
        # As the product's own connections leave it.
        database.execute("PRAGMA journal_mode=WAL")
        database.executescript(f"BEGIN;\n{text}COMMIT;")


def migrate(directory: Path, database_url: str = "") -> None:
    """Make tables by all migrations, in a process of its own.

    They are made in the database of the URL, or else in the config directory's.
    """
    kept = {name: text for name, text in os.environ.items() if not name.startswith("CCPROXY_")}
    kept.pop("DATABASE_URL", None)
    if database_url:
        kept["DATABASE_URL"] = database_url
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0", "--skip-checks"],
        cwd=ROOT,
        env=kept | {"CCPROXY_CONFIG_DIR": str(directory), "CCPROXY_ROLE": "migration"},
        check=True,
    )
