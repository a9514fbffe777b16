"""A provider behind TLS whose requests go out with a browser's handshake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from interceptor.wireguard.overrides import Overrides
from providers.provider_conf import ProviderConf
from tests.fakes.certificates import Authority, make_authority
from tests.fakes.http2 import Http2Upstream
from tests.interceptor.proxied import Running, provider, running_proxy, snapshot
from tests.patience import PATIENCE_S

HOST = "llm.corp.test"
PATH = "/v1/chat/completions"
BODY = b'{"model": "m", "messages": []}'
KEYED = {"authorization": "Bearer sk-ccproxy-corp"}

Start = Callable[..., Running]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder: Path = tmp_path_factory.mktemp("authority")
    return make_authority(folder, HOST)


def corp(**more: Any) -> ProviderConf:
    """The provider, with the profile chrome131 if no other is given."""
    values: dict[str, Any] = {"host": HOST, "scheme": "https", "type": "openai", "path": PATH}
    return provider("corp", 443, **{**values, "fingerprint_profile": "chrome131", **more})


@pytest.fixture
def start(
    authority: Authority, over_http1: Http2Upstream, over_http2: Http2Upstream
) -> Iterator[Start]:
    """Start a proxy whose provider's host is really at a port of this machine.

    The providers outlive it.
    """
    with ExitStack() as stack:

        def begin(port: int, *providers: ProviderConf, **options: Any) -> Running:
            options.setdefault("ssl_verify_upstream_trusted_ca", str(authority.ca_file))
            options.setdefault("overrides", Overrides(upstreams={HOST: ("127.0.0.1", port)}))
            config = snapshot(*(providers or (corp(),)))
            return stack.enter_context(running_proxy(config, **options))

        yield begin


@pytest.fixture
def over_http1(authority: Authority) -> Iterator[Http2Upstream]:
    with Http2Upstream(tls=authority.server_context(["http/1.1"])) as upstream:
        yield upstream


@pytest.fixture
def over_http2(authority: Authority) -> Iterator[Http2Upstream]:
    with Http2Upstream(tls=authority.server_context(["h2", "http/1.1"])) as upstream:
        yield upstream


def ask(proxy: Running, **more: str) -> httpx.Response:
    """Send one request and return its complete response."""
    return httpx.post(
        f"{proxy.url}{PATH}",
        content=BODY,
        headers={**KEYED, **more},
        timeout=PATIENCE_S,
        trust_env=False,
    )
