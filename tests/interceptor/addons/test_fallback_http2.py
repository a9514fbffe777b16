"""Fallbacks between providers that speak HTTP/2.

A file of its own: mitmproxy knows one running proxy a process, and that of `test_fallback` runs as
long as its file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.certificates import make_authority
from tests.fakes.http2 import Http2Upstream
from tests.interceptor.addons.test_fallback import ASK, GOOD, PATH, busy, by_key, keyed, to
from tests.interceptor.proxied import Running, running_proxy, snapshot
from tests.patience import PATIENCE_S


@pytest.fixture
def over_http2(tmp_path: Path) -> Iterator[tuple[Http2Upstream, Running]]:
    """A provider that speaks HTTP/2 under two names, and a proxy of its own."""
    authority = make_authority(tmp_path)
    with Http2Upstream(authority.server_context(["h2", "http/1.1"])) as server:
        more: dict[str, Any] = {"scheme": "https", "host": "localhost"}
        config = snapshot(
            keyed("main", server.port, fallbacks=to("backup"), **more),
            keyed("backup", server.port, **more),
        )
        with running_proxy(config, ssl_verify_upstream_trusted_ca=str(authority.ca_file)) as own:
            yield server, own


@pytest.mark.parametrize("client_version", [1, 2])
def test_over_http2(over_http2: tuple[Http2Upstream, Running], client_version: int) -> None:
    server, own = over_http2
    server.scripts[PATH] = by_key(main=busy(), backup=GOOD)
    is_first = client_version == 1
    with httpx.Client(http1=is_first, http2=not is_first, timeout=PATIENCE_S) as client:
        headers = {"x-api-key": "sk-ccproxy-main"}
        answer = client.post(f"{own.url}{PATH}", json=ASK, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    assert [seen.version for seen in server.requests] == ["HTTP/2"] * 2
    assert server.authorities == [f"localhost:{server.port}"] * 2
