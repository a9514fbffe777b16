"""One world for all tests of the folder; each begins with empty lists."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interceptor.forward.world import World, running_world


@pytest.fixture(scope="package")
def whole_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_world(tmp_path_factory.mktemp("forward")) as world:
        yield world


@pytest.fixture
def world(whole_world: World) -> World:
    whole_world.forget()
    return whole_world
