"""Fixtures of the tests of credentials."""

from __future__ import annotations

from pathlib import Path

import pytest

from providers.auth import renewal, resolve
from tests.fakes.token_endpoint import TokenEndpoint
from tests.providers.auth.oauth_bench import Bench


@pytest.fixture
def bench(tmp_path: Path, endpoint: TokenEndpoint) -> Bench:
    return Bench(tmp_path, endpoint)


@pytest.fixture
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renewals settle soon, and failures are forgotten at once."""
    monkeypatch.setattr(renewal, "SETTLE_S", 0.15)
    monkeypatch.setattr(renewal, "SETTLE_POLL_S", 0.01)
    monkeypatch.setattr(resolve, "FAILURE_TTL_S", 0.0)
