"""The memory and the locks that processes share of their logins, as the recorder has them.

The recorder holds the row. The lock file of SQLite's processes is held here: it goes on to keep
others away when the recorder ends in the middle of a renewal.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interceptor.recorder.asking import Recorder, RecorderAway, RecorderLost, RecorderRefused
from providers.auth.refresh_lock import (
    LOCK_TIMEOUT_S,
    Held,
    LockFailed,
    LoginState,
    file_lock,
    login_lock,
)

logger = logging.getLogger(__name__)

_FAILURES = (RecorderAway, RecorderRefused, TimeoutError)


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits of the questions, for a recorder that is there and does not answer."""

    hold_s: float
    save_s: float = 10.0


READS_A_ROW = Patience(hold_s=10.0)
LOCKS_A_ROW = Patience(hold_s=LOCK_TIMEOUT_S + 10.0)


class RemoteLogins:
    """Shared memory of a proxy without a database; implements `SharedLogins`.

    Args:
        recorder: has the database.
        lock_directory: of the lock files; None: the database locks rows. See `shared_state`.
        patience: limits of the questions; None: those that suit the kind of lock.
    """

    def __init__(
        self,
        recorder: Recorder,
        lock_directory: Path | None,
        patience: Patience | None = None,
    ) -> None:
        self._recorder = recorder
        self._lock_directory = lock_directory
        self._patience = patience or (READS_A_ROW if lock_directory else LOCKS_A_ROW)

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[Held]:
        """Wait until no other process renews this login.

        Without the recorder, the lock file alone keeps others away, and nothing is known of the
        login. Where the database locks rows, nothing would: the login is not renewed then.

        Raises:
            LockFailed: the row or the lock file cannot be had.
        """
        directory = self._lock_directory
        lock = file_lock(login_lock(directory, key), LOCK_TIMEOUT_S) if directory else nullcontext()
        async with lock:
            held = _RemoteRow(self._recorder, key, self._patience, has_row_locks=directory is None)
            try:
                await held.open()
                yield held
            finally:
                await held.close()


class _RemoteRow:
    """One row while the recorder holds it for this process."""

    def __init__(
        self, recorder: Recorder, key: str, patience: Patience, *, has_row_locks: bool
    ) -> None:
        self.state = LoginState()
        self._recorder, self._key, self._patience = recorder, key, patience
        self._has_row_locks = has_row_locks
        self._loan = ""
        """The newest name under which the row was asked for."""

    async def open(self) -> None:
        """Borrow the row.

        Raises:
            LockFailed: it cannot be had, and is needed.
        """
        try:
            self.state = await self._borrow()
        except _FAILURES as exc:
            if self._has_row_locks:
                raise LockFailed(f"cannot be renewed: {_reason(exc)}") from None
            logger.warning("what is known of a login cannot be read: %s", _reason(exc))

    async def save(self, state: LoginState) -> None:
        """Remember the state. The file has the tokens already: no recorder is no failure."""
        before, self.state = self.state, state
        try:
            async with asyncio.timeout(self._patience.save_s):
                await self._save(before, state)
        except (*_FAILURES, LockFailed) as exc:
            logger.warning(
                "a login was renewed, but other machines cannot learn of it: %s", _reason(exc)
            )

    async def close(self) -> None:
        """Give the row back, also one that was asked for in vain."""
        if not self._recorder.is_here:
            # The end of its connection has given it back already.
            return
        with suppress(*_FAILURES):
            async with asyncio.timeout(self._patience.save_s):
                await self._recorder.ask("login.release", loan=self._loan)

    async def _borrow(self) -> LoginState:
        async with asyncio.timeout(self._patience.hold_s):
            try:
                answer = await self._ask_for_row()
            except RecorderLost:
                # The one that is started instead has the row again.
                answer = await self._ask_for_row()
        if "failed" in answer:
            raise LockFailed(answer["failed"])
        return LoginState.of_values(answer["state"])

    async def _ask_for_row(self) -> dict[str, Any]:
        self._loan = secrets.token_hex(8)
        return await self._recorder.ask("login.hold", loan=self._loan, key=self._key)

    async def _save(self, before: LoginState, state: LoginState) -> None:
        if await self._is_saved(state):
            return
        # The recorder was started again since, and the row was free for a while. A machine that
        # took it has renewed the login too. Which of the two pairs is good is not known here:
        # theirs stays.
        found = await self._borrow()
        if self._has_row_locks and found not in (before, state):
            raise LockFailed("another machine has renewed it at the same time")
        await self._is_saved(state)

    async def _is_saved(self, state: LoginState) -> bool:
        """Save the state of the row; False when it is not held."""
        values = state.as_values()
        try:
            answer = await self._recorder.ask("login.save", loan=self._loan, state=values)
        except RecorderLost:
            return False
        return bool(answer["saved"])


def _reason(exc: BaseException) -> str:
    return "the recorder does not answer" if isinstance(exc, TimeoutError) else str(exc)
