"""Shared fixtures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def need(tool: str, present: bool) -> None:
    """Skip where a tool is missing on a user's machine; fail where CCPROXY_TEST_REQUIRE says it
    must be there.
    """
    if not present:
        message = f"{tool} is not available here"
        if os.environ.get("CCPROXY_TEST_REQUIRE"):
            pytest.fail(message)
        pytest.skip(message)


@pytest.fixture(autouse=True)
def kept_umask() -> Iterator[None]:
    """Commands that a test calls in this process set their own."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of recorded traffic (`clients/`, `wire/`), read in place."""
    path = Path(os.environ.get("CCPROXY_TEST_CORPUS") or ROOT / "../shared/data").resolve()
    need(f"the recorded traffic at {path}", (path / "clients").is_dir())
    return path
