"""MCP server over the record: agents ask about flows with tools.

FastMCP takes a second and, with what the tools need, 48 MB to load. Only `tool_server` imports it,
with the first request.
"""

from __future__ import annotations

import os

# FastMCP would read a file of the working directory, and put handlers on loggers.
os.environ.setdefault("FASTMCP_ENV_FILE", os.devnull)
os.environ.setdefault("FASTMCP_LOG_ENABLED", "false")
