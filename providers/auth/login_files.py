"""Login files of this process: their content, and facts that only memory has."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from providers.auth.base import OAuthAuth
from providers.auth.oauth import Document, Login, fingerprint, read_login, secrets_of
from providers.auth.oauth_file import BadCredentialFile, Replacement, read_document, real_path
from providers.auth.registry import SecretRegistry
from providers.auth.sources import SourceFailed

logger = logging.getLogger(__name__)


MAX_ACCEPTED = 64


class LoginFiles:
    """Reads login files; every token read is remembered as a secret.

    Args:
        secrets: learns every token.
        now: seconds since the epoch.
    """

    def __init__(self, secrets: SecretRegistry, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self.secrets = secrets
        self._own_expiry: dict[Path, tuple[str, float]] = {}
        self._unsaved: dict[Path, Document] = {}
        self._accepted: deque[str] = deque(maxlen=MAX_ACCEPTED)

    def path(self, auth: OAuthAuth) -> Path:
        """Return the path of a login's file.

        Raises:
            SourceFailed: nowhere that exists.
        """
        try:
            return real_path(auth.file_path)
        except (OSError, RuntimeError):
            raise SourceFailed(
                f"is kept in {auth.file_path}, which is no path on this machine"
            ) from None

    async def read(self, path: Path) -> Document:
        """Return the content of a file, {} when there is none.

        Raises:
            SourceFailed: it cannot be used.
        """
        if path in self._unsaved:
            return self._unsaved[path]
        try:
            return await asyncio.to_thread(read_document, path) or {}
        except BadCredentialFile as exc:
            raise SourceFailed(str(exc)) from None

    def login(self, auth: OAuthAuth, document: Document) -> Login:
        """Return the tokens of a file's content, and register them as secrets."""
        for secret in secrets_of(auth, document):
            self.secrets.add(secret)
        return read_login(auth, document)

    def remaining_s(self, path: Path, login: Login) -> float:
        """Return the seconds until the access token expires; -inf when that is unknown.

        A token that was renewed here expires after the time that its response named, however
        wrong this machine's clock is.
        """
        if not login.access:
            return float("-inf")
        # The response named a duration, counted here; the file has a time by the vendor's clock.
        own, expires_at = self._own_expiry.get(path, ("", 0.0))
        if own == fingerprint(login.access):
            return expires_at - self.now()
        return login.expires_at - self.now() if login.expires_at is not None else float("-inf")

    def accept(self, token: str) -> None:
        """Note that a provider took this access token."""
        if token not in self._accepted:
            self._accepted.append(token)

    def was_accepted(self, token: str) -> bool:
        """Return True when a provider took this access token, as far as this process knows."""
        return token in self._accepted

    async def save(self, path: Path, document: Document, replacement: Replacement) -> None:
        """Make a new content durable; what a full disk does not take is kept in memory and written
        later.
        """
        try:
            await asyncio.to_thread(replacement.commit, document)
            self._unsaved.pop(path, None)
        except OSError as exc:
            self._unsaved[path] = document
            logger.error(
                "the new tokens cannot be written to %s (%s); make room for them",
                path,
                exc.strerror,
            )

    async def save_unsaved(self, path: Path) -> None:
        """Try again to write what could not be written."""
        if (document := self._unsaved.get(path)) is None:
            return
        try:
            replacement = await asyncio.to_thread(Replacement, path)
        except BadCredentialFile:
            return
        try:
            await self.save(path, document, replacement)
        finally:
            await asyncio.to_thread(replacement.close)

    def expires(self, path: Path, login: Login, expires_at: float) -> None:
        """Note when a token that was renewed here expires, by this machine's clock."""
        self._own_expiry[path] = (fingerprint(login.access), expires_at)
