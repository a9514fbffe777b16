"""Settings of `mcp`: the MCP server, and the events that wait for a conversation. No Django."""

from __future__ import annotations

from pydantic import Field

from interceptor.config.files.groups import Group, Port, SecretSource


class McpHttpSettings(Group):
    """The MCP server."""

    enabled: bool = Field(
        True, description="Run the MCP server, in the console's process; see [mcp.md](mcp.md)."
    )
    host: str = Field("127.0.0.1", min_length=1, description="Its bind address.")
    port: Port = Field(
        4030, description="Its port; the endpoint is /mcp, to which the proxy's own /mcp leads too."
    )
    auth: str | SecretSource | None = Field(
        None,
        description=(
            "Bearer token of clients that may read, or where to read it; null: the file mcp_token"
            " in the config directory, which is made."
        ),
        repr=False,
    )
    write_auth: str | SecretSource | None = Field(
        None,
        description=(
            "Bearer token of clients that may also clear, resend and store shapes, or where to"
            " read it; null: the file mcp_write_token in the config directory, which is made."
        ),
        repr=False,
    )


class McpBufferSettings(Group):
    """Events that wait for a conversation."""

    max_events_per_task: int = Field(
        65_536, ge=1, description="Events kept per task; the oldest go first."
    )
    ttl_seconds: float = Field(
        600, ge=1, description="How long they wait after the last event of their task."
    )


class McpSettings(Group):
    """The MCP server and its notifications."""

    http: McpHttpSettings = McpHttpSettings()
    buffer: McpBufferSettings = McpBufferSettings()
    notify_secret: str | None = Field(
        None,
        min_length=1,
        description=(
            "What programs must send in x-ccproxy-notify-secret with POST /mcp/notify; null: every"
            " program that may call the proxy can."
        ),
        repr=False,
    )
