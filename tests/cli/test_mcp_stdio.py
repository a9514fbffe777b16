"""`ccproxy mcp`, started by the official client."""

from __future__ import annotations

import asyncio
from typing import Any

from mcp import Client
from mcp.client.stdio import StdioServerParameters

from ccproxy_site.mcp.tool_table import TOOLS
from tests.calls import CCPROXY
from tests.warm.starter import warm_command


def test_a_client_starts_it_and_may_read(ccproxy) -> None:
    command, *arguments = warm_command(CCPROXY)
    server = StdioServerParameters(
        command=command,
        args=[*arguments, "mcp"],
        env=ccproxy.environ(),
        cwd=ccproxy.directory.parent,
    )

    async def ask() -> tuple[set[str], Any, Any, Any]:
        async with Client(server) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            flows = await client.call_tool("list_flows", {})
            providers = await client.call_tool("list_providers", {})
            refused = await client.call_tool("clear_flows", {})
            return names, flows, providers, refused

    names, flows, providers, refused = asyncio.run(ask())
    assert names == {tool.name for tool in TOOLS}
    assert flows.structured_content == {"flows": [], "note": ""}
    assert not providers.is_error
    assert refused.is_error
    assert "write token" in str(refused.content)
