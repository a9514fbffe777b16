"""Where the server is reached, and where it is not."""

from __future__ import annotations

from typing import Any

from ccproxy_site.mains.proxy_process import mcp_address
from ccproxy_site.mcp.mcp_app import mcp_beside, mcp_rules
from tests.ccproxy_site.mcp.conftest import settings_with


async def pages(scope: Any, receive: Any, send: Any) -> None:
    """The console."""


def test_a_server_that_is_switched_off_is_nowhere(settings) -> None:
    settings.CCPROXY = settings_with(enabled=False)
    assert mcp_beside(pages) is pages
    assert mcp_address(settings.CCPROXY) is None
    settings.CCPROXY = settings_with()
    assert mcp_beside(pages) is not pages
    assert mcp_address(settings.CCPROXY) == ("127.0.0.1", 4030)


def test_the_proxy_finds_it_at_its_bind_address() -> None:
    assert mcp_address(settings_with(host="0.0.0.0", port=4031)) == ("127.0.0.1", 4031)
    assert mcp_address(settings_with(host="console", port=8083)) == ("console", 8083)


def test_it_knows_the_names_of_proxy_and_console() -> None:
    settings = settings_with(host="mcp.example").model_copy(
        update={"allowed_hosts": ("Proxy.example",), "allowed_origins": ("App://Editor/",)}
    )
    rules = mcp_rules(settings)
    assert (rules.bind, rules.hosts) == ("mcp.example", frozenset({"proxy.example"}))
    assert rules.origins == {"app://editor"}
