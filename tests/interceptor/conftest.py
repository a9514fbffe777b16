"""The real proxy on a thread, one for each module.

A module overrides `configuration` to have providers and rules of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import cache

import pytest
from cryptography.hazmat.primitives import serialization
from mitmproxy.http import HTTPFlow

from interceptor.addons.failures import retry
from interceptor.config.snapshot.schema import Snapshot
from interceptor.mitm import attempts
from interceptor.mitm.attempts import SendAgain
from interceptor.operate import authority
from tests.fakes.upstream import Upstream
from tests.interceptor.proxied import Running, provider, running_proxy, snapshot


@pytest.fixture(scope="session", autouse=True)
def keys_loaded_once() -> Iterator[None]:
    """Each proxy loads its CA's key twice, and cryptography checks its primes for 0.06 s.

    What was loaded from the same bytes before needs no second check.
    """
    load = cache(serialization.load_pem_private_key)
    with pytest.MonkeyPatch.context() as patch:
        # mitmproxy's, and ours.
        patch.setattr(serialization, "load_pem_private_key", load)
        patch.setattr(authority, "load_pem_private_key", load)
        yield


@pytest.fixture(scope="module")
def configuration(upstream: Upstream) -> Snapshot:
    """The scripted provider alone."""
    return snapshot(provider("up", upstream.port))


@pytest.fixture(scope="module")
def proxy(configuration: Snapshot) -> Iterator[Running]:
    """A proxy with the module's configuration."""
    with running_proxy(configuration) as running:
        yield running


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when the proxy has decided to send a request again, so that its wait begins."""
    event = threading.Event()

    def send_again(flow: HTTPFlow, again: SendAgain) -> bool:
        accepted = attempts.send_again(flow, again)
        event.set()
        return accepted

    monkeypatch.setattr(retry, "send_again", send_again)
    return event
