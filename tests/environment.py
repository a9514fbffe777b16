"""The checkout, and what this machine must have for a test. No Django: benchmarks use it too."""

from __future__ import annotations

import os
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
