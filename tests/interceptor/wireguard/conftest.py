"""One world for all tests of a file; what one test scripted or recorded is forgotten before the next."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.interceptor.wireguard.world import World, running_world


def missing() -> str:
    """What this machine lacks, or nothing."""
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun cannot be opened"
    return "" if shutil.which("ip") else "iproute2 is not installed"


@pytest.fixture(scope="module")
def whole_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if reason := missing():
        if os.environ.get("CCPROXY_TEST_REQUIRE"):
            pytest.fail(reason)
        pytest.skip(reason)
    with running_world(tmp_path_factory.mktemp("wireguard"), ignore_hosts=[r"pinned\.test"]) as world:
        yield world


@pytest.fixture
def world(whole_world: World) -> World:
    whole_world.forget()
    return whole_world
