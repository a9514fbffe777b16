"""`ccproxy mcp`: the MCP server on standard input and output, for clients that start a command."""

from __future__ import annotations

import asyncio
import getpass
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from ccproxy_site.management import parsers
from ccproxy_site.mcp.mcp_caller import CURRENT_CALLER, McpCaller, does_all, reads
from interceptor.config.transfer.database import ensure_database


class Command(BaseCommand):
    """Serve until the client closes standard input."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.mcpstdio(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        ensure_database()
        # Who can start this command can read the database file.
        has_right = does_all if options["write"] else reads
        CURRENT_CALLER.set(McpCaller(getpass.getuser(), has_right))
        # Loads FastMCP, which takes a second.
        from ccproxy_site.mcp.tool_server import tool_server

        asyncio.run(tool_server().run_stdio_async(show_banner=False))
