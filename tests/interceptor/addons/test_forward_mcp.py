"""`/mcp` on the proxy's port."""

from __future__ import annotations

import httpx
import pytest

from interceptor.access.client_access import HEADER
from interceptor.addons.mcp.forward_mcp import McpAddress, is_mcp
from tests.fakes.upstream import Upstream, sse
from tests.interceptor.proxied import provider, running_proxy, snapshot

EVENTS = (b"event: message\ndata: {}\n\n", b"event: message\ndata: {}\n\n")


def post(url: str, **headers: str) -> httpx.Response:
    return httpx.post(url, content=b'{"a":1}', headers=headers, trust_env=False)


def test_it_goes_to_the_server_unchanged_and_unrecorded(upstream: Upstream) -> None:
    upstream.scripts["/mcp"] = sse(*EVENTS)
    address = McpAddress("127.0.0.1", upstream.port)
    with running_proxy(snapshot(provider("p", 9)), mcp=address, require_token=True) as proxy:
        found = post(f"{proxy.url}/mcp", authorization="Bearer mcp-token-0123", **{HEADER: "x"})
        # A client token that nobody knows is refused here too.
        assert found.status_code == 401
        found = post(f"{proxy.url}/mcp", authorization="Bearer mcp-token-0123")
        assert (found.status_code, found.content) == (200, b"".join(EVENTS))
        # Other paths need a client token there.
        assert post(f"{proxy.url}/v1/models").status_code == 401
        assert (proxy.sink.records, proxy.sink.live) == ([], [])
        name = f"127.0.0.1:{proxy.port}"
    seen = upstream.last
    assert (seen.target, seen.body) == ("/mcp", b'{"a":1}')
    assert seen.header("authorization") == "Bearer mcp-token-0123"
    assert seen.header("host") == name


def test_pages_do_not_get_there(upstream: Upstream) -> None:
    count = len(upstream.requests)
    with running_proxy(snapshot(), mcp=McpAddress("127.0.0.1", upstream.port)) as proxy:
        url = f"{proxy.url}/mcp"
        assert post(url, origin="https://evil.example").status_code == 403
        assert post(url, host="evil.example").status_code == 421
    assert len(upstream.requests) == count


def test_without_a_server_the_path_is_one_like_others() -> None:
    with running_proxy(snapshot()) as proxy:
        assert post(f"{proxy.url}/mcp").status_code == 501
        assert proxy.sink.wait().id


def test_a_server_that_is_down_is_said() -> None:
    with running_proxy(snapshot(), mcp=McpAddress("127.0.0.1", 9)) as proxy:
        found = post(f"{proxy.url}/mcp")
    assert found.status_code == 502


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/mcp", True),
        ("/mcp/", True),
        ("/mcp?x=1", True),
        ("/mcp/notify", False),
        ("/v1/mcp", False),
    ],
)
def test_only_this_path(path: str, expected: bool) -> None:
    assert is_mcp(path) is expected
