"""One refresh at a time: the lock between processes, and the state that they share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, Self

from providers.base.file_lock import FileLock, LockUnsupportedError

LOCK_TIMEOUT_S = 40
"""How long a process waits for another one's renewal of a login."""


@dataclass(frozen=True)
class LoginState:
    """Facts about a login that its file does not hold.

    Times are seconds since the epoch, 0.0 for never.
    """

    tokens: str = field(default="", repr=False)
    """The newest content of the file as JSON, so that another machine can take it over; "" for
    none.
    """
    current: str = ""
    """Fingerprint of the refresh token in `tokens`."""
    ancestors: tuple[str, ...] = ()
    """Fingerprints of the refresh tokens that `tokens` came from, oldest first.

    A machine that holds one of them is behind.
    """
    machine: str = ""
    """Where it was refreshed."""
    refreshed_at: float = 0.0
    expires_at: float = 0.0
    failures: int = 0
    """Failed tries since the last success."""
    not_before: float = 0.0
    """The endpoint is left alone until then."""
    refused: str = ""
    """Fingerprint of a refresh token that the endpoint refused for good."""
    error: str = ""
    """Why the last try failed; one sentence without secrets."""
    tried_at: float = 0.0

    def as_values(self) -> dict[str, Any]:
        """Return the state as values that JSON knows; `tokens` is in clear."""
        return asdict(self) | {"ancestors": list(self.ancestors)}

    @classmethod
    def of_values(cls, values: dict[str, Any]) -> Self:
        """Return the state that `as_values` returned these for."""
        return cls(**values | {"ancestors": tuple(values["ancestors"])})


class Held(Protocol):
    """A login that no other process refreshes now."""

    state: LoginState

    async def save(self, state: LoginState) -> None:
        """Remember."""


class SharedLogins(Protocol):
    """Memory and locks of the processes and machines that share a database."""

    def hold(self, key: str) -> AbstractAsyncContextManager[Held]:
        """Wait until no other process refreshes the login, and keep others waiting meanwhile.

        Raises:
            LockFailed: it cannot be had.
        """


class LockFailed(Exception):
    """The lock cannot be had; the text completes "The login of provider x ..."."""


class InMemoryLogins:
    """For one process alone: nothing is shared, and it is forgotten when the process ends."""

    def __init__(self, states: dict[str, LoginState] | None = None) -> None:
        self.states = {} if states is None else states

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[Held]:
        """Yield the state of a login; the file lock keeps others away."""
        yield _InMemory(self.states, key)


class _InMemory:
    def __init__(self, states: dict[str, LoginState], key: str) -> None:
        self._states, self._key = states, key
        self.state = states.get(key, LoginState())

    async def save(self, state: LoginState) -> None:
        self.state = self._states[self._key] = state


def login_digest(key: str) -> str:
    """Return the name of a login where a file name or a primary key is wanted."""
    return sha256(key.encode()).hexdigest()


def login_lock(directory: Path, key: str) -> Path:
    """Return the path whose `file_lock` keeps all processes of a directory from one login."""
    return directory / f"login-{login_digest(key)[:16]}"


@asynccontextmanager
async def file_lock(path: Path, timeout_s: float) -> AsyncIterator[None]:
    """Hold the lock beside the file at `path` against every process of this machine.

    Raises:
        LockFailed: another process held it all the time, or its folder cannot be written.
    """
    lock = FileLock(path.parent / f".{path.name}.ccproxy.lock")
    try:
        await asyncio.to_thread(path.parent.mkdir, 0o700, parents=True, exist_ok=True)
        await lock.acquire_async(timeout_s)
    except TimeoutError:
        raise LockFailed(
            f"has been under refresh by another process for {timeout_s:g} s; try again"
        ) from None
    except LockUnsupportedError as exc:
        raise LockFailed(
            f"cannot be locked ({exc.strerror}); keep its file on a local disk"
        ) from None
    except OSError as exc:
        raise LockFailed(
            f"cannot be renewed: {path.parent} cannot be written ({exc.strerror})"
        ) from None
    try:
        yield
    finally:
        lock.release()
