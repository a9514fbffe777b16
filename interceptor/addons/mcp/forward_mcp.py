"""Forwards `/mcp` of the reverse listener to the MCP server, unrecorded and unchanged."""

from __future__ import annotations

from typing import Final, NamedTuple

from mitmproxy.http import HTTPFlow

from interceptor.exchange.flow_state import METADATA_KEY, state_of

MCP_PATH: Final = "/mcp"
_MARK: Final = "ccproxy_mcp"


class McpAddress(NamedTuple):
    """Where the MCP server listens."""

    host: str
    port: int


class ForwardMcpAddon:
    """Stands behind the guard: names, origins and client tokens were checked.

    The server itself checks the bearer token, which is forwarded like every other header. Without
    an exchange no hook, no rule and no record sees the request.

    Args:
        address: where the server listens; None: there is none, and `/mcp` is a path like others.
    """

    def __init__(self, address: McpAddress | None) -> None:
        self._address = address

    def requestheaders(self, flow: HTTPFlow) -> None:
        """Point the request at the server."""
        state = state_of(flow)
        if self._address is None or state is None or state.source != "reverse":
            return
        if flow.response or flow.error or not is_mcp(flow.request.path):
            return
        del flow.metadata[METADATA_KEY]
        flow.metadata[_MARK] = True
        flow.request.scheme = "http"
        # mitmproxy's own setters would write a new Host, and the server judges the client's.
        flow.request.data.host, flow.request.data.port = self._address

    def responseheaders(self, flow: HTTPFlow) -> None:
        """Let events pass as they come."""
        if _MARK in flow.metadata and flow.response is not None:
            flow.response.stream = True


def is_mcp(path: str) -> bool:
    """Return whether a request's path is the MCP server's: `/mcp`, `/mcp/`, `/mcp?x`."""
    return path.partition("?")[0].rstrip("/") == MCP_PATH
