"""One world for all tests of a file; what one test scripted or recorded is forgotten before the
next.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interceptor.wireguard.tunnel import need_tunnel
from tests.interceptor.wireguard.world import World, running_world


@pytest.fixture(scope="module")
def whole_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    need_tunnel()
    with running_world(
        tmp_path_factory.mktemp("wireguard"),
        # The second one is echo.test by an address, whatever its client says first.
        ignore_hosts=[r"pinned\.test", r"^192\.0\.2\.14:8443$"],
    ) as world:
        yield world


@pytest.fixture
def world(whole_world: World) -> World:
    whole_world.forget()
    return whole_world
