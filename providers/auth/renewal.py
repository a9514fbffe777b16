"""One renewal of a login, under its lock.

Take over a newer pair of another machine → wait for a vendor's program that is at it → ask the
endpoint → write the file → remember. A token is used only after the file that holds its successor
is on the disk.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from providers.auth import token_endpoint
from providers.auth.base import OAuthAuth
from providers.auth.login_files import LoginFiles
from providers.auth.oauth import (
    Document,
    Login,
    apply_answer,
    fingerprint,
    lifetime_s,
    token_part,
    with_tokens,
)
from providers.auth.oauth_file import BadCredentialFile, Replacement
from providers.auth.oauth_kinds import NEEDS_CLIENT_SECRET
from providers.auth.refresh_lock import Held, LoginState
from providers.auth.sources import SourceFailed
from providers.auth.token_endpoint import EndpointFailed
from providers.base.errors import ConfigError
from providers.base.upstream_proxy import UpstreamProxies

logger = logging.getLogger(__name__)

SETTLE_S = 1.0
"""How long a refused token's file is watched before it is renewed here: its vendor's program may be
writing it.
"""
SETTLE_POLL_S = 0.05
FRESH_S = 30.0
"""A new token that is refused at once is not renewed again before this time has passed."""
BACKOFF_S, MAX_BACKOFF_S = 30.0, 900.0
MAX_ANCESTORS = 64


@dataclass(slots=True)
class Renewal:
    """Inputs and steps of one renewal.

    `is_stale` returns True for a login that does not serve the request.
    """

    files: LoginFiles
    decrypt: Callable[[str], str]
    auth: OAuthAuth
    path: Path
    is_stale: Callable[[Login], bool]
    was_refused: bool
    """The provider itself refused the token; its expiry did not make it stale."""
    held: Held
    timeout_s: float = token_endpoint.TIMEOUT_S
    """Limit of the call to the token endpoint."""
    proxies: UpstreamProxies | None = None

    async def run(self, document: Document) -> Login:
        """Return a login that is not stale.

        Raises:
            SourceFailed: there is none; why is remembered.
        """
        login = self.files.login(self.auth, document)
        # Another machine may have used this refresh token already: its pair is the valid one.
        document = await self._taken_over(document, login)
        login = self.files.login(self.auth, document)
        if not self.is_stale(login):
            return login
        secret = await self._client_secret()
        self._refuse_early(login, secret)
        if self.was_refused and (settled := await self._settle(login)) is not None:
            return settled
        if not login.refresh:
            raise SourceFailed(
                f"is missing: {self.path} holds no refresh token; log in first", is_missing=True
            )
        # Before the endpoint is asked: its response would be lost on a disk that takes no file.
        try:
            replacement = await asyncio.to_thread(Replacement, self.path)
        except BadCredentialFile as exc:
            raise SourceFailed(str(exc)) from None
        try:
            return await self._ask(document, login, secret, replacement)
        finally:
            await asyncio.to_thread(replacement.close)

    async def _taken_over(self, document: Document, login: Login) -> Document:
        """Return the file's content, with the newer pair if another machine has renewed it."""
        state = self.held.state
        elsewhere = not login.refresh and state.machine not in ("", socket.gethostname())
        if not state.tokens or not (elsewhere or fingerprint(login.refresh) in state.ancestors):
            return document
        newer = with_tokens(document, json.loads(state.tokens))
        try:
            replacement = await asyncio.to_thread(Replacement, self.path)
        except BadCredentialFile as exc:
            raise SourceFailed(str(exc)) from None
        try:
            await self.files.save(self.path, newer, replacement)
        finally:
            await asyncio.to_thread(replacement.close)
        return newer

    async def _client_secret(self) -> str:
        if not self.auth.client_secret:
            if self.auth.type in NEEDS_CLIENT_SECRET:
                raise SourceFailed(
                    "cannot be renewed: it needs its client secret; set it in the provider's"
                    " settings"
                )
            return ""
        try:
            secret = await asyncio.to_thread(self.decrypt, self.auth.client_secret)
        except ConfigError as exc:
            raise SourceFailed(f"cannot be renewed: {exc}") from None
        self.files.secrets.add(secret)
        return secret

    def _refuse_early(self, login: Login, secret: str) -> None:
        state, now = self.held.state, self.files.now()
        if state.refused and state.refused == self._attempt(login, secret):
            raise SourceFailed(state.error)
        # A clock that was set back must not keep the endpoint closed for longer than the longest
        # pause.
        if now < state.not_before <= now + MAX_BACKOFF_S:
            raise SourceFailed(
                f"{state.error}; next try in {state.not_before - now:.0f} s", is_passing=True
            )
        is_fresh = 0 <= now - state.refreshed_at < FRESH_S and state.current == fingerprint(
            login.refresh
        )
        if self.was_refused and is_fresh and not self.files.was_accepted(login.access):
            raise SourceFailed(
                "was renewed a moment ago, and the provider refuses the new token too; log in again"
            )

    def _attempt(self, login: Login, secret: str) -> str:
        """Return a digest of the request: an identical one would be refused again."""
        return fingerprint(
            f"{login.refresh}\n{secret}\n{self.auth.client_id}\n{self.auth.endpoint}"
        )

    async def _settle(self, login: Login) -> Login | None:
        """Watch the file for a moment: who renewed the token, which made the old one void, is about
        to write it.
        """
        deadline = time.monotonic() + SETTLE_S
        while time.monotonic() < deadline:
            await asyncio.sleep(SETTLE_POLL_S)
            try:
                found = self.files.login(self.auth, await self.files.read(self.path))
            except SourceFailed:
                # Half written, by a program that does not replace its file atomically.
                continue
            if found.refresh != login.refresh and not self.is_stale(found):
                return found
        return None

    async def _ask(
        self, document: Document, login: Login, secret: str, replacement: Replacement
    ) -> Login:
        fields = {
            "grant_type": "refresh_token",
            "client_id": self.auth.client_id,
            "refresh_token": login.refresh,
        }
        try:
            answer = await token_endpoint.ask(
                self.auth, fields, secret, self.timeout_s, self.proxies
            )
        except EndpointFailed as exc:
            if exc.is_final and (settled := await self._settle(login)) is not None:
                return settled
            await self._failed(exc, login, secret)
            raise SourceFailed(str(exc), is_passing=not exc.is_final) from None
        return await self.keep(document, login, answer, replacement)

    async def keep(
        self, document: Document, login: Login, answer: dict[str, Any], replacement: Replacement
    ) -> Login:
        """Make the endpoint's answer the login: durable first, then used.

        `login` is the one it takes the place of.
        """
        now = self.files.now()
        newer = apply_answer(self.auth, document, answer, now)
        renewed = self.files.login(self.auth, newer)
        expires_at = now + lifetime_s(self.auth, answer)
        self.files.expires(self.path, renewed, expires_at)
        await self.files.save(self.path, newer, replacement)
        state, old, current = (
            self.held.state,
            fingerprint(login.refresh),
            fingerprint(renewed.refresh),
        )
        is_same_line = old == state.current or old in state.ancestors
        ancestors = dict.fromkeys((*(state.ancestors if is_same_line else ()), old))
        await self.held.save(
            LoginState(
                tokens=json.dumps(token_part(self.auth, newer)),
                current=current,
                ancestors=tuple(
                    ancestor for ancestor in ancestors if ancestor not in ("", current)
                )[-MAX_ANCESTORS:],
                machine=socket.gethostname(),
                refreshed_at=now,
                expires_at=expires_at,
                tried_at=now,
            )
        )
        return renewed

    async def _failed(self, failure: EndpointFailed, login: Login, secret: str) -> None:
        state, now = self.held.state, self.files.now()
        pause_s = min(BACKOFF_S * 2 ** min(state.failures, 10), MAX_BACKOFF_S)
        logger.warning("the login in %s %s", self.path, failure)
        await self.held.save(
            replace(
                state,
                failures=state.failures + 1,
                not_before=0.0 if failure.is_final else now + pause_s,
                refused=self._attempt(login, secret) if failure.is_final else "",
                error=str(failure),
                tried_at=now,
            )
        )
