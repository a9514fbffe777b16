"""Access tokens of logins; each is renewed once, however many requests and processes need it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from providers.auth.base import OAuthAuth
from providers.auth.login_files import LoginFiles
from providers.auth.oauth import Document, Login
from providers.auth.oauth_file import BadCredentialFile, Replacement, read_document
from providers.auth.refresh_lock import Held, InMemoryLogins, LockFailed, SharedLogins, file_lock
from providers.auth.registry import SecretRegistry
from providers.auth.renewal import Renewal
from providers.auth.sources import SourceFailed
from providers.auth.token_endpoint import TIMEOUT_S
from providers.base.upstream_proxy import UpstreamProxies

CLOCK_SKEW_S = 300.0
"""When renewing fails, a token that expired no longer ago is still tried: the provider's clock
decides.
"""
LOCK_MARGIN_S = 25.0
"""What the process that holds the lock may take beyond its call to the token endpoint."""


@dataclass(frozen=True, slots=True)
class RefreshLimits:
    """When logins are renewed; how long and by which proxies a token endpoint is called."""

    timeout_s: float = TIMEOUT_S
    headroom_s: float = 60.0
    """A token that expires sooner is renewed before it is used."""
    proxies: UpstreamProxies = field(default_factory=UpstreamProxies)


def login_key(auth: OAuthAuth) -> str:
    """Return the name of a login in shared memory; providers with the same file share one."""
    return f"{auth.type}:{auth.file_path}"


class OAuthLogins:
    """The logins of one process, on one event loop.

    Args:
        secrets: learns every token.
        decrypt: turns the stored client secret into text; may raise ConfigError.
        shared: memory shared with other processes and machines.
        limits: when and for how long to renew.
        now: seconds since the epoch.
    """

    def __init__(
        self,
        *,
        secrets: SecretRegistry,
        decrypt: Callable[[str], str],
        shared: SharedLogins | None = None,
        limits: RefreshLimits | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._files = LoginFiles(secrets, now)
        self._decrypt = decrypt
        self._shared = shared or InMemoryLogins()
        self.limits = limits or RefreshLimits()
        self._locks: dict[Path, asyncio.Lock] = {}
        self._running: set[asyncio.Task[Login]] = set()

    async def access(self, auth: OAuthAuth, headroom_s: float | None = None) -> Login:
        """Return the login with an access token that is good for longer than `headroom_s`.

        None means the headroom of the limits.

        Raises:
            SourceFailed: there is none.
        """
        path = self._files.path(auth)
        least_s = self.limits.headroom_s if headroom_s is None else headroom_s
        return await self._get(
            auth, path, lambda login: self._files.remaining_s(path, login) <= least_s
        )

    async def replace(self, auth: OAuthAuth, rejected: str) -> Login:
        """Return the login with another access token than `rejected`, which the provider refused.

        Raises:
            SourceFailed: there is none.
        """
        path = self._files.path(auth)

        def is_stale(login: Login) -> bool:
            return login.access == rejected or self._files.remaining_s(path, login) <= 0

        return await self._get(auth, path, is_stale, was_refused=True)

    async def renew(self, auth: OAuthAuth) -> Login:
        """Return the login with a new pair, however long the old one is good for.

        A pair that another process got meanwhile counts.

        Raises:
            SourceFailed: it could not be renewed.
        """
        path = self._files.path(auth)
        before = self._files.login(auth, await self._files.read(path)).access
        return await self._get(auth, path, lambda login: login.access == before, must_differ=True)

    def accept(self, token: str) -> None:
        """Note that a provider took this access token.

        If the provider refuses it later, the login is renewed at once.
        """
        self._files.accept(token)

    async def store(self, auth: OAuthAuth, answer: dict[str, Any]) -> Login:
        """Keep the tokens of a new login; machines that hold the one before follow.

        Raises:
            SourceFailed: the file cannot be written.
        """
        path = self._files.path(auth)
        return await asyncio.shield(self._spawn(self._store(auth, path, answer)))

    async def drain(self, timeout_s: float) -> None:
        """Wait for running renewals: one cut off between response and file loses the login."""
        if self._running:
            await asyncio.wait(set(self._running), timeout=timeout_s)

    async def _get(
        self,
        auth: OAuthAuth,
        path: Path,
        is_stale: Callable[[Login], bool],
        *,
        was_refused: bool = False,
        must_differ: bool = False,
    ) -> Login:
        login = self._files.login(auth, await self._files.read(path))
        if not is_stale(login):
            return login
        # A task of its own: whoever asked may go away, the renewal must not be cut off.
        may_keep = not (was_refused or must_differ)
        return await asyncio.shield(
            self._spawn(self._renew(auth, path, is_stale, was_refused, may_keep))
        )

    def _spawn(self, work: Coroutine[Any, Any, Login]) -> asyncio.Task[Login]:
        task = asyncio.create_task(work, name="renew a login")
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Login]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # read, so that nothing is reported lost when every caller has gone

    async def _renew(
        self,
        auth: OAuthAuth,
        path: Path,
        is_stale: Callable[[Login], bool],
        was_refused: bool,
        may_keep: bool,
    ) -> Login:
        """Locks from the inside out: this process, this machine, this database; then look again."""
        async with self._locks.setdefault(path, asyncio.Lock()), AsyncExitStack() as stack:
            login = self._files.login(auth, await self._files.read(path))
            if not is_stale(login):
                return login
            try:
                await self._lock_file(stack, path)
                # Who had the lock until now has probably renewed the login.
                login = self._files.login(auth, await self._files.read(path))
                if not is_stale(login):
                    return login
                held = await self._hold(stack, auth, path)
                document = await self._files.read(path)
                login = self._files.login(auth, document)
                renewal = self._renewal(auth, path, is_stale, was_refused, held)
                return await renewal.run(document)
            except (SourceFailed, LockFailed) as exc:
                if (
                    login.access
                    and may_keep
                    and self._files.remaining_s(path, login) > -CLOCK_SKEW_S
                ):
                    return login  # it may still be good: the provider's clock decides
                raise SourceFailed(str(exc)) from None

    def _renewal(
        self,
        auth: OAuthAuth,
        path: Path,
        is_stale: Callable[[Login], bool],
        was_refused: bool,
        held: Held,
    ) -> Renewal:
        return Renewal(
            self._files,
            self._decrypt,
            auth,
            path,
            is_stale,
            was_refused,
            held,
            timeout_s=self.limits.timeout_s,
            proxies=self.limits.proxies,
        )

    async def _lock_file(self, stack: AsyncExitStack, path: Path) -> None:
        lock_timeout_s = self.limits.timeout_s + LOCK_MARGIN_S
        await stack.enter_async_context(file_lock(path, lock_timeout_s))

    async def _hold(self, stack: AsyncExitStack, auth: OAuthAuth, path: Path) -> Held:
        held = await stack.enter_async_context(self._shared.hold(login_key(auth)))
        await self._files.save_unsaved(path)
        return held

    async def _store(self, auth: OAuthAuth, path: Path, answer: dict[str, Any]) -> Login:
        async with self._locks.setdefault(path, asyncio.Lock()), AsyncExitStack() as stack:
            try:
                await self._lock_file(stack, path)
                held = await self._hold(stack, auth, path)
                replacement = await asyncio.to_thread(Replacement, path)
            except (LockFailed, BadCredentialFile) as exc:
                raise SourceFailed(str(exc)) from None
            try:
                document = await asyncio.to_thread(_usable, path)
                renewal = self._renewal(auth, path, lambda _: False, False, held)
                return await renewal.keep(
                    document, self._files.login(auth, document), answer, replacement
                )
            finally:
                await asyncio.to_thread(replacement.close)


def _usable(path: Path) -> Document:
    """Return the file's content; a damaged one counts as empty, because a login replaces it."""
    try:
        return read_document(path) or {}
    except BadCredentialFile:
        return {}
