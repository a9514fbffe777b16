"""Listener of the MCP server, in the console's process and on its reactor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ccproxy_site.mcp.mcp_app import mcp_app
from interceptor.config.files.server import ServerSettings
from providers.base.errors import ConfigError

HTTP_TIMEOUT_S = 120


class McpService:
    """A second server of Daphne; the console's service runs the reactor, and stops it.

    Args:
        settings: the server settings.
        directory: the config directory, which holds the tokens.
    """

    name = "the MCP server"
    stop_limit_s = 5.0

    def __init__(self, settings: ServerSettings, directory: Path) -> None:
        self._host, self._port = settings.mcp.http.host, settings.mcp.http.port
        self._app = mcp_app(settings, directory)
        self._server: Any = None

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: the address cannot be bound.
        """
        await self._app.tokens.prepare()
        from daphne.endpoints import build_endpoint_description_strings

        from ccproxy_site.console.quiet_server import QuietServer

        self._server = QuietServer(
            application=self._app,
            endpoints=build_endpoint_description_strings(
                host=self._host.strip("[]"), port=self._port
            ),
            signal_handlers=False,
            http_timeout=HTTP_TIMEOUT_S,
            verbosity=0,
            server_name="",
        )
        # The reactor runs already.
        self._server.abort_start = True
        self._server.run()
        if not self._server.listening_addresses:
            raise ConfigError(f"the MCP server cannot listen on {self._host}:{self._port}")

    async def stop(self) -> None:
        """End the running requests; the listener closes with the console's reactor."""
        await self._app.stop()
