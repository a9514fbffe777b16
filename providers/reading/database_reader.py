"""Interface of reads by plain SQL, and the values that they return. No Django.

`plain_reader` reads without Django, `django_reader` over its connection.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from providers.base.errors import CcproxyError

type Row = tuple[Any, ...]


class UnreadableDatabase(CcproxyError):
    """A database that is missing, away, or has other tables."""


class Read(Protocol):
    """Function that runs one SELECT, whose parameters are written `%s`, and returns all rows."""

    def __call__(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]: ...


def database_name(entry: Mapping[str, Any]) -> str:
    """Return the database as people call it: a path, or name and host."""
    if is_sqlite(entry):
        return str(entry["NAME"])
    return f"{entry['NAME']} at {entry['HOST'] or 'localhost'}"


def is_sqlite(entry: Mapping[str, Any]) -> bool:
    """Return True for an entry of Django's `DATABASES` that names a SQLite file."""
    return str(entry["ENGINE"]).endswith("sqlite3")


def moment(value: str | datetime) -> datetime:
    """Return a stored time with its zone; SQLite has it as text in UTC.

    `"2026-11-22 12:00:00.5"` → 12:00:00.5 UTC.
    """
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def json_value(value: Any) -> Any:
    """Return the value of a JSON column; SQLite and Django have it as text."""
    return json.loads(value) if isinstance(value, str) else value
