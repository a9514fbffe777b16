"""A login file with its token endpoint, for tests of OAuth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from providers.auth.oauth_kinds import oauth_auth
from providers.auth.refresh_lock import InMemoryLogins
from providers.auth.registry import SecretRegistry
from providers.auth.resolve import CredentialResolver
from providers.base.errors import AuthConfigError
from providers.base.keyring import Keyring
from tests.fakes.token_endpoint import TokenEndpoint

NOW = 1_800_000_000.0


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


class Bench:
    """A login file, its endpoint, and as many processes' resolvers as a test wants."""

    def __init__(
        self, folder: Path, endpoint: TokenEndpoint, kind: str = "anthropic_oauth", **config: Any
    ) -> None:
        self.file, self.endpoint = folder / "login.json", endpoint
        self.keyring = Keyring.open(folder / "secret.key")
        self.shared, self.clock, self.secrets = InMemoryLogins(), Clock(), SecretRegistry()
        settings = {
            "file_path": str(self.file),
            "endpoint": endpoint.url,
            "client_id": "client-1",
            **config,
        }
        self.auth = oauth_auth(
            kind, settings, client_secret=self.keyring.encrypt("client-secret-1")
        )
        self.resolver = self.another()

    def another(self) -> CredentialResolver:
        made = CredentialResolver(
            open_keyring=lambda: self.keyring,
            secrets=self.secrets,
            shared=self.shared,
            cache_ttl_s=0,
        )
        made.logins._files.now = self.clock
        return made

    def login(self, expires_in_s: float = 3600, **more: Any) -> str:
        access, refresh = self.endpoint.issue()
        tokens = {
            "access_token": access,
            "refresh_token": refresh,
            "expires_at": (self.clock.now + expires_in_s) * 1000,
        }
        self.file.write_text(json.dumps({**tokens, **more}))
        return access

    @property
    def content(self) -> Any:
        return json.loads(self.file.read_text())

    async def token(self) -> str:
        return (await self.resolver.resolve("claude", self.auth)).token

    async def refresh(self, rejected: str) -> str | None:
        found = await self.resolver.refresh("claude", self.auth, rejected)
        return found.token if found else None

    async def failure(self, rejected: str = "") -> str:
        with pytest.raises(AuthConfigError) as caught:
            await (self.refresh(rejected) if rejected else self.token())
        assert "claude" in str(caught.value)
        return str(caught.value)
