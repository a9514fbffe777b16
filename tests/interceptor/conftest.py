"""The real proxy on a thread, one for each module.

A module overrides `configuration` to have providers and rules of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from interceptor.config.snapshot.schema import Snapshot
from tests.fakes.upstream import Upstream
from tests.interceptor.proxied import Running, provider, running_proxy, snapshot


@pytest.fixture(scope="module")
def configuration(upstream: Upstream) -> Snapshot:
    """The scripted provider alone."""
    return snapshot(provider("up", upstream.port))


@pytest.fixture(scope="module")
def proxy(configuration: Snapshot) -> Iterator[Running]:
    """A proxy with the module's configuration."""
    with running_proxy(configuration) as running:
        yield running
