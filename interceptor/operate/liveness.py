"""Checks that the listeners answer. No Django: health checks run often."""

from __future__ import annotations

import json
import socket
from http.client import HTTPConnection, HTTPException
from typing import Any

from interceptor.config.files.server import ServerSettings, reachable_host

CONNECT_TIMEOUT_S = 0.5
HEALTH_TIMEOUT_S = 2.0
PROXY_DOWN, CONSOLE_DOWN, MCP_DOWN = 1, 2, 4


def is_listening(host: str, port: int) -> bool:
    """Return True when a TCP connection to the bind address succeeds within half a second."""
    try:
        with socket.create_connection((reachable_host(host), port), timeout=CONNECT_TIMEOUT_S):
            return True
    except (OSError, UnicodeError):
        return False


def is_ccproxy(host: str, port: int) -> bool:
    """Return True when a proxy of ours answers at a bind address."""
    return is_listening(host, port) and "revision" in _health(host, port)


def recording_problem(host: str, port: int) -> str:
    """Return why the proxy at a bind address does not record; "" if it does, or is not there."""
    return str(_health(host, port).get("recording", ""))


def _health(host: str, port: int) -> dict[str, Any]:
    """Return what /health says; {} where nothing answers, or something else than a proxy."""
    connection = HTTPConnection(reachable_host(host), port, timeout=HEALTH_TIMEOUT_S)
    try:
        connection.request("GET", "/health")
        health = json.loads(connection.getresponse().read())
    except (OSError, HTTPException, ValueError):
        return {}
    finally:
        connection.close()
    return health if isinstance(health, dict) else {}


def check(settings: ServerSettings, *, proxy: bool, inspect: bool, mcp: bool) -> int:
    """Return the exit code of a health check: the sum of what was asked for and is down."""
    code = 0
    if proxy and not is_listening(settings.host, settings.port):
        code |= PROXY_DOWN
    if inspect and not is_listening(settings.console.host, settings.inspector.port):
        code |= CONSOLE_DOWN
    server = settings.mcp.http
    if mcp and mcp_shall_run(settings) and not is_listening(server.host, server.port):
        code |= MCP_DOWN
    return code


def mcp_shall_run(settings: ServerSettings) -> bool:
    """Return True when `ccproxy start` runs the MCP server."""
    return settings.mcp.http.enabled
