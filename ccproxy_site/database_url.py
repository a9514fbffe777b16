"""The database that `DATABASE_URL` names, as an entry of Django's `DATABASES`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from interceptor.config.files.directory import config_dir
from providers.base.errors import ConfigError
from providers.base.nearest import name_hint

if TYPE_CHECKING:
    from dj_database_url import DBConfig

CONNECTION_AGE_S: Final = 60
SQLITE_OPTIONS: Final = {
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
}
_SCHEMES: Final = ("postgresql", "postgres", "sqlite")


def this_database() -> dict[str, Any]:
    """Return the entry that this process's variables name.

    Raises:
        ConfigError: `DATABASE_URL` names no database that ccproxy can use.
    """
    return database_from_url(os.environ.get("DATABASE_URL", ""), config_dir())


def database_from_url(url: str, config_dir: Path) -> dict[str, Any]:
    """Return the entry for a URL; without one, the SQLite file of the config directory.

    The query of a PostgreSQL URL becomes libpq's parameters (sslmode, options, connect_timeout):
    https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS

    Raises:
        ConfigError: the URL names no database that ccproxy can use. The message never shows the
            URL, which holds a password.
    """
    if not url:
        return _sqlite(str(config_dir / "ccproxy.sqlite3"), config_dir)
    # The library knows more databases; ccproxy is tested with these two.
    if url.partition(":")[0] not in _SCHEMES:
        raise ConfigError("DATABASE_URL must begin with postgresql:// or sqlite:///")
    # Imported only here: most databases are the file of the config directory.
    import dj_database_url

    try:
        entry = dj_database_url.parse(url, conn_max_age=CONNECTION_AGE_S)
    except ValueError:
        raise ConfigError(
            "DATABASE_URL cannot be read; write special characters of the password as %XX"
        ) from None
    if urlsplit(url).scheme == "sqlite":
        return _sqlite_from(entry, config_dir)
    return dict(entry)


def _sqlite_from(entry: DBConfig, config_dir: Path) -> dict[str, Any]:
    """Check what only a SQLite URL can get wrong: it names a file, and has no other parameters."""
    # The library turns a missing path into a database in memory, which every thread has for itself.
    if entry["NAME"] == ":memory:":
        raise ConfigError("DATABASE_URL must name a file: sqlite:////var/lib/ccproxy/flows.sqlite3")
    unknown = sorted(set(entry.get("OPTIONS", {})) - set(SQLITE_OPTIONS))
    if unknown:
        hint = name_hint(unknown[0], SQLITE_OPTIONS)
        raise ConfigError(f"DATABASE_URL: SQLite has no parameter {unknown[0]}; {hint}")
    return _sqlite(entry["NAME"], config_dir, **entry.get("OPTIONS", {}))


def _sqlite(path: str, config_dir: Path, **options: Any) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "OPTIONS": {**SQLITE_OPTIONS, **options},
        # A file, as in real life: threads and processes meet at its lock.
        "TEST": {"NAME": str(config_dir / "test.sqlite3")},
    }
