"""Bearer tokens of the MCP server: its own two, and API tokens of accounts.

The read token and the write token come from `mcp.http.auth` and `mcp.http.write_auth`. Where a
setting is empty, the token is made once and kept in a file of the config directory. A source that
yields nothing lets no caller in.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from django.db import close_old_connections
from rest_framework.authtoken.models import Token

from ccproxy_site.console.api_tokens import token_digest
from ccproxy_site.mcp.mcp_caller import McpCaller, does_all, reads
from ccproxy_site.process.secret_file import read_or_create_secret
from ccproxy_site.process.secret_source import read_secret_source
from interceptor.config.files.groups import SecretSource
from interceptor.config.files.server import ServerSettings
from providers.auth.registry import SECRETS
from providers.base.errors import ConfigError

logger = logging.getLogger("ccproxy")

READ_FILE: Final = "mcp_token"
WRITE_FILE: Final = "mcp_write_token"
KEEP_S: Final = 10.0
"""How long a token is kept before its source is read again."""

Source = str | SecretSource | None


class _Kind(NamedTuple):
    """One of the server's own tokens."""

    setting: str
    source: Source
    file: Path
    name: str
    has_right: Callable[[str], bool]


@dataclass(slots=True)
class _Kept:
    """A token as it was read last; "" where its source yielded nothing."""

    kind: _Kind
    token: str = ""
    read_at: float = -KEEP_S
    problem: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class BearerTokens:
    """All tokens that the server knows.

    Args:
        settings: the server settings.
        directory: the config directory.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        settings: ServerSettings,
        directory: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timeout_s = settings.auth.command_timeout_seconds
        self._clock = clock
        http = settings.mcp.http
        # The write token first: where both are the same text, it is a write token.
        self._kept = [
            _Kept(
                _Kind(
                    "mcp.http.write_auth",
                    http.write_auth,
                    directory / WRITE_FILE,
                    "MCP write token",
                    does_all,
                )
            ),
            _Kept(
                _Kind("mcp.http.auth", http.auth, directory / READ_FILE, "MCP read token", reads)
            ),
        ]

    async def caller_of(self, shown: str, address: str) -> McpCaller | None:
        """Return the caller that shows a token, or None for one that is unknown."""
        if not shown:
            return None
        found: McpCaller | None = None
        # Each token is compared, so that the time says nothing about which one is near.
        for kept in self._kept:
            token = await self._token(kept)
            is_equal = hmac.compare_digest(_digest(token), _digest(shown))
            if is_equal and token and found is None:
                found = McpCaller(kept.kind.name, kept.kind.has_right, address)
        return found or await asyncio.to_thread(_account, shown, address)

    async def prepare(self) -> None:
        """Read all sources, so that the files exist and a broken source is in the log."""
        for kept in self._kept:
            await self._token(kept)

    async def _token(self, kept: _Kept) -> str:
        async with kept.lock:
            if self._clock() - kept.read_at >= KEEP_S:
                kept.token, problem = await self._read(kept.kind)
                kept.read_at = self._clock()
                if problem and problem != kept.problem:
                    logger.error("%s: %s; no caller gets in by it", kept.kind.setting, problem)
                kept.problem = problem
                SECRETS.add(kept.token)
            return kept.token

    async def _read(self, kind: _Kind) -> tuple[str, str]:
        """Return the token, or "" and why there is none."""
        source = kind.source
        if source is None:
            try:
                return await asyncio.to_thread(read_or_create_secret, kind.file), ""
            except ConfigError as exc:
                return "", str(exc)
        if isinstance(source, str):
            return source.strip(), "" if source.strip() else "the token is empty"
        return await read_secret_source(source, self._timeout_s)


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _account(shown: str, address: str) -> McpCaller | None:
    """Return the account behind an API token; only active members of the staff may ask."""
    close_old_connections()
    try:
        row = Token.objects.select_related("user").filter(key=token_digest(shown)).first()
    finally:
        close_old_connections()
    if row is None or not (row.user.is_active and row.user.is_staff):
        return None
    return McpCaller(row.user.get_username(), row.user.has_perm, address)
