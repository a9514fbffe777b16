from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from providers.auth.base import FileAuth
from providers.auth.logins import OAuthLogins, RefreshLimits
from providers.auth.oauth_kinds import oauth_auth
from providers.auth.proactive import ProactiveRenewal, headroom_s, renew_due
from providers.auth.registry import SecretRegistry
from providers.auth.resolve import CredentialResolver
from providers.auth.sources import SourceFailed
from tests.fakes.token_endpoint import TokenEndpoint
from tests.patience import PATIENCE_S


def bench(folder: Path, endpoint: TokenEndpoint, expires_in_s: float) -> tuple[OAuthLogins, Any]:
    access, refresh = endpoint.issue()
    tokens = {
        "access_token": access,
        "refresh_token": refresh,
        "expires_at": (time.time() + expires_in_s) * 1000,
    }
    (folder / "a.json").write_text(json.dumps(tokens))
    auth = oauth_auth(
        "anthropic_oauth", {"file_path": str(folder / "a.json"), "endpoint": endpoint.url}
    )
    return OAuthLogins(secrets=SecretRegistry(), decrypt=str), auth


@pytest.mark.parametrize(("expires_in_s", "renewals"), [(1100, 1), (1300, 0)])
async def test_what_expires_soon_is_renewed(
    tmp_path: Path, expires_in_s: float, renewals: int
) -> None:
    with TokenEndpoint() as endpoint:
        logins, auth = bench(tmp_path, endpoint, expires_in_s)
        assert headroom_s(auth) == 1200
        assert await renew_due(logins, [None, auth, FileAuth(file="/x"), auth]) == 1
        assert len(endpoint.requests) == renewals
        assert await renew_due(logins, [auth]) == 1
        assert len(endpoint.requests) == renewals


async def test_one_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    with TokenEndpoint() as endpoint:
        logins, auth = bench(tmp_path, endpoint, 10)
        lost = oauth_auth("codex_oauth", {"file_path": str(tmp_path / "none.json")})
        assert await renew_due(logins, [lost, auth]) == 1


async def test_the_task_looks_again_and_stops() -> None:
    looks = asyncio.Event()
    seen: list[int] = []

    def sources() -> list[Any]:
        seen.append(1)
        if len(seen) > 2:
            looks.set()
        raise RuntimeError("a broken look does not end the task")

    logins = OAuthLogins(secrets=SecretRegistry(), decrypt=str)
    renewal = ProactiveRenewal(logins, sources, interval_s=0.01)
    renewal.start()
    async with asyncio.timeout(PATIENCE_S):
        await looks.wait()
    await renewal.stop()


async def test_a_longer_headroom_of_the_settings_is_looked_ahead_too(tmp_path: Path) -> None:
    with TokenEndpoint() as endpoint:
        _, auth = bench(tmp_path, endpoint, 1300)
        logins = OAuthLogins(
            secrets=SecretRegistry(), decrypt=str, limits=RefreshLimits(headroom_s=1400)
        )
        assert await renew_due(logins, [auth]) == 1
        assert len(endpoint.requests) == 1


@pytest.mark.parametrize(("headroom_s", "renewals"), [(90, 0), (110, 1)])
async def test_refresh_headroom_is_when_a_request_renews(
    tmp_path: Path, headroom_s: float, renewals: int
) -> None:
    with TokenEndpoint() as endpoint:
        _, auth = bench(tmp_path, endpoint, 100)
        limits = RefreshLimits(headroom_s=headroom_s)
        resolver = CredentialResolver(open_keyring=None, secrets=SecretRegistry(), limits=limits)  # type: ignore[arg-type]
        await resolver.resolve("claude", auth)
        assert len(endpoint.requests) == renewals


async def test_refresh_timeout_limits_the_call_to_the_endpoint(tmp_path: Path) -> None:
    may_answer = threading.Event()

    def wait(_: dict[str, Any]) -> None:
        may_answer.wait(PATIENCE_S)

    with TokenEndpoint() as endpoint:
        endpoint.before = wait
        _, auth = bench(tmp_path, endpoint, -1000)
        logins = OAuthLogins(
            secrets=SecretRegistry(), decrypt=str, limits=RefreshLimits(timeout_s=0.2)
        )
        try:
            with pytest.raises(SourceFailed, match=r"did not answer within 0\.2 s"):
                await logins.access(auth)
        finally:
            may_answer.set()
