"""One world for all tests of a worker: an interceptor takes two seconds to start, a jail a fraction
of one.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.jail.world import World, jail_world


@pytest.fixture(scope="package")
def world() -> Iterator[World]:
    with jail_world() as made:
        yield made
