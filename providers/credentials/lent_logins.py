"""Logins' rows, held in the recorder for a proxy that renews.

A loan ends with its proxy. The proxy has the lock file where the database locks no rows.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field

from providers.auth.refresh_lock import Held, LockFailed, LoginState
from providers.credentials.shared_state import held_row


@dataclass(slots=True)
class _Loan:
    """One login in use; without `held` it is being waited for."""

    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    held: Held | None = None


class LentLogins:
    """Loans of one proxy's connection; the proxy names them.

    Args:
        hold_row: holds the row of a login's key.
    """

    def __init__(
        self, hold_row: Callable[[str], AbstractAsyncContextManager[Held]] = held_row
    ) -> None:
        self._hold_row = hold_row
        self._loans: dict[str, _Loan] = {}

    async def hold(self, loan: str, key: str) -> LoginState:
        """Wait until no other process renews the login, and keep others waiting.

        Raises:
            LockFailed: the database does not answer, or the proxy gave the loan back meanwhile.
        """
        made = self._loans[loan] = _Loan()
        try:
            held = await made.stack.enter_async_context(self._hold_row(key))
        except BaseException:
            self._loans.pop(loan, None)
            raise
        if self._loans.get(loan) is not made:
            await made.stack.aclose()
            raise LockFailed("is not wanted any more")
        made.held = held
        return held.state

    async def save(self, loan: str, state: LoginState) -> bool:
        """Remember the state of a held login; False when it is not held."""
        found = self._loans.get(loan)
        if found is None or found.held is None:
            return False
        await found.held.save(state)
        return True

    async def release(self, loan: str) -> None:
        """Give a login back, also one that is still being waited for."""
        found = self._loans.pop(loan, None)
        # One that is being waited for is closed by `hold`, as soon as it has it.
        if found is not None and found.held is not None:
            await found.stack.aclose()

    async def close(self) -> None:
        """Give everything back: the proxy is gone."""
        for loan in list(self._loans):
            await self.release(loan)
