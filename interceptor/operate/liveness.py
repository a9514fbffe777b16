"""Checks that the listeners answer. No Django: health checks run often."""

from __future__ import annotations

import argparse
import socket

from interceptor.config.files.leaves import is_built
from interceptor.config.files.server import ServerSettings, reachable_host
from providers.base.arguments import suggest_names

CONNECT_TIMEOUT_S = 0.5
PROXY_DOWN, CONSOLE_DOWN, MCP_DOWN = 1, 2, 4
CHECK_FLAGS = ("--proxy", "--inspect", "--mcp")


def is_listening(host: str, port: int) -> bool:
    """Return True when a TCP connection to the bind address succeeds within half a second."""
    try:
        with socket.create_connection((reachable_host(host), port), timeout=CONNECT_TIMEOUT_S):
            return True
    except (OSError, UnicodeError):
        return False


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the health check's flags."""
    parser.add_argument("--proxy", action="store_true", help="exit 1 when the proxy is down")
    parser.add_argument("--inspect", action="store_true", help="exit 2 when the console is down")
    parser.add_argument("--mcp", action="store_true", help="exit 4 when the MCP server is down")


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
    """Return True when `ccproxy start` runs the MCP server: it is built, and enabled."""
    return is_built(ServerSettings, "mcp") and settings.mcp.http.enabled


def quick_check(settings: ServerSettings, arguments: list[str]) -> int:
    """Run `ccproxy status --proxy --inspect` without Django and without output."""
    parser = argparse.ArgumentParser(prog="ccproxy status")
    add_check_arguments(parser)
    parser.add_argument("--json", action="store_true")
    suggest_names(parser)
    chosen = parser.parse_args(arguments)
    return check(settings, proxy=chosen.proxy, inspect=chosen.inspect, mcp=chosen.mcp)
