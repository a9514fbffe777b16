"""The memory that processes and machines with one database share of their logins, and their lock.

PostgreSQL: the row is locked for as long as the renewal takes; the server frees it when its holder
is gone. SQLite allows one writer at a time, so its processes, which are all on this machine, meet
at a lock file beside the database.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, nullcontext
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import DatabaseError, InterfaceError, connection, transaction

from providers.auth.refresh_lock import (
    LOCK_TIMEOUT_S,
    Held,
    LockFailed,
    LoginState,
    file_lock,
    login_digest,
    login_lock,
)
from providers.base.errors import ConfigError
from providers.fields import Ciphertext
from providers.models import CredentialState

logger = logging.getLogger(__name__)

IDLE_TIMEOUT_S = 120
"""PostgreSQL frees the lock of a machine that stopped in the middle after this time."""
BUSY_TIMEOUT_MS = 2000

_TIMES = ("refreshed_at", "expires_at", "not_before", "tried_at")


class DatabaseLogins:
    """Shared memory in `CredentialState`.

    Works on a thread of its own; a database that is away stops no event loop.
    """

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[Held]:
        """Wait until no other process renews this login.

        Raises:
            LockFailed: PostgreSQL does not answer, or the lock file cannot be had.
        """
        directory = lock_directory()
        # SQLite has no row locks: its processes meet at the lock file.
        lock = file_lock(login_lock(directory, key), LOCK_TIMEOUT_S) if directory else nullcontext()
        async with lock, held_row(key) as held:
            yield held


@asynccontextmanager
async def held_row(key: str) -> AsyncIterator[Held]:
    """Hold a login's row. With SQLite the caller has the lock file: see `lock_directory`.

    Raises:
        LockFailed: PostgreSQL does not answer.
    """
    pool, loop = ThreadPoolExecutor(1, thread_name_prefix="login"), asyncio.get_running_loop()
    held = _HeldRow(login_digest(key), pool)
    try:
        await loop.run_in_executor(pool, held.open)
        yield held
    finally:
        await loop.run_in_executor(pool, held.close)
        pool.shutdown(wait=False)


def lock_directory() -> Path | None:
    """Return the directory of the lock files; None where the database locks rows."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor != "sqlite" or name.startswith("file:") or ":memory:" in name:
        return None
    return Path(name).resolve().parent


class _HeldRow:
    """The row while it is held; `open`, `close` and `_write` run on the pool's one thread, which
    owns a connection.
    """

    def __init__(self, key: str, pool: ThreadPoolExecutor) -> None:
        self.state = LoginState()
        self._key, self._pool = key, pool
        self._transaction: transaction.Atomic | None = None

    async def save(self, state: LoginState) -> None:
        """Remember the state. The file has the tokens already: a missing database is no failure."""
        self.state = state
        await asyncio.get_running_loop().run_in_executor(self._pool, self._write)

    def open(self) -> None:
        try:
            if connection.features.has_select_for_update:
                self._transaction = transaction.atomic()
                self._transaction.__enter__()
                self._lock_row()
            else:
                with connection.cursor() as cursor:
                    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
                row = CredentialState.objects.filter(pk=self._key).first()
                self.state = _state(row) if row else LoginState()
        except (DatabaseError, InterfaceError) as exc:
            if self._transaction is not None:
                raise LockFailed(
                    f"cannot be renewed: the database does not answer ({type(exc).__name__})"
                ) from None
            logger.warning("what is known of a login cannot be read: %s", exc)

    def _lock_row(self) -> None:
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute(
                    "SELECT set_config('lock_timeout', %s, true)", [f"{LOCK_TIMEOUT_S}s"]
                )
                cursor.execute(
                    "SELECT set_config('idle_in_transaction_session_timeout', %s, true)",
                    [f"{IDLE_TIMEOUT_S}s"],
                )
        CredentialState.objects.get_or_create(pk=self._key)
        self.state = _state(CredentialState.objects.select_for_update().get(pk=self._key))

    def _write(self) -> None:
        try:
            CredentialState.objects.update_or_create(pk=self._key, defaults=_columns(self.state))
        except (DatabaseError, InterfaceError, ConfigError) as exc:
            logger.warning("a login was renewed, but other machines cannot learn of it: %s", exc)

    def close(self) -> None:
        try:
            if self._transaction is not None and connection.connection is not None:
                self._transaction.__exit__(None, None, None)
        except (DatabaseError, InterfaceError) as exc:
            logger.warning("a login was renewed, but other machines cannot learn of it: %s", exc)
        finally:
            connection.close()


def _state(row: CredentialState) -> LoginState:
    values: dict[str, Any] = {field.name: getattr(row, field.name) for field in fields(LoginState)}
    values |= {name: values[name].timestamp() if values[name] else 0.0 for name in _TIMES}
    values["ancestors"] = tuple(row.ancestors)
    try:
        values["tokens"] = row.tokens.decrypt() if isinstance(row.tokens, Ciphertext) else ""
        json.loads(values["tokens"] or "{}")
    except (ConfigError, ValueError) as exc:
        logger.warning("the tokens that another machine left cannot be read: %s", exc)
        values["tokens"] = ""
    return LoginState(**values)


def _columns(state: LoginState) -> dict[str, Any]:
    values = asdict(state)
    return values | {
        "ancestors": list(state.ancestors),
        **{
            name: datetime.fromtimestamp(values[name], UTC) if values[name] else None
            for name in _TIMES
        },
    }
