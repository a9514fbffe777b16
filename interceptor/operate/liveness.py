"""Checks that the listeners answer. No Django: health checks run often."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

from interceptor.operate.command_settings import CommandSettings
from providers.base.loopback import reachable_host

CONNECT_TIMEOUT_S = 0.5
HEALTH_TIMEOUT_S = 2.0
RECORD_NOW = "record=now"
"""Query that has running flows stored soon, as in `interceptor/exchange/recording_state.py`."""
_MOST_BYTES = 64 * 1024
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


class RecordWatch:
    """Watch of a proxy's record: is everything stored that was recorded until the first question?

    Workers answer in turn, and each knows its own records only; so those of one that never answers
    are not waited for.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._wanted: dict[int, int] = {}

    def is_stored(self) -> bool | None:
        """Return whether that is stored; None if no proxy says it, or it records nothing now."""
        health = _health(self._host, self._port, RECORD_NOW)
        record = health.get("record")
        if not isinstance(record, dict) or health.get("recording"):
            return None
        wanted = self._wanted.setdefault(int(record["proxy"]), int(record["recorded"]))
        return int(record["stored"]) >= wanted


def _health(host: str, port: int, query: str = "") -> dict[str, Any]:
    """Return what /health says; {} where nothing answers, or something else than a proxy."""
    try:
        health = json.loads(_get_health(reachable_host(host), port, query))
    except (OSError, ValueError):
        return {}
    return health if isinstance(health, dict) else {}


def _get_health(host: str, port: int, query: str) -> bytes:
    """Return the body of /health.

    Without `http.client`, whose import takes as long as `ccproxy status` itself. The proxy closes
    the connection behind its response, as the request says, so its end is the body's.

    Raises:
        OSError: nothing answers, or not within `HEALTH_TIMEOUT_S`.
        ValueError: the response is longer than any of ours, or the host is no name.
    """
    deadline = time.monotonic() + HEALTH_TIMEOUT_S
    authority = f"[{host}]" if ":" in host else host
    path = f"/health?{query}" if query else "/health"
    request = f"GET {path} HTTP/1.1\r\nHost: {authority}:{port}\r\nConnection: close\r\n\r\n"
    response = b""
    with socket.create_connection((host, port), timeout=HEALTH_TIMEOUT_S) as connection:
        connection.sendall(request.encode())
        while chunk := connection.recv(_MOST_BYTES):
            response += chunk
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            if len(response) > _MOST_BYTES:
                raise ValueError("it is no response of ours")
    return response.partition(b"\r\n\r\n")[2]


def check(settings: CommandSettings, *, proxy: bool, inspect: bool, mcp: bool) -> int:
    """Return the exit code of a health check: the sum of what was asked for and is down."""
    code = 0
    if proxy and not is_listening(settings.host, settings.port):
        code |= PROXY_DOWN
    if inspect and not is_listening(settings.console_host, settings.console_port):
        code |= CONSOLE_DOWN
    if mcp and settings.mcp_enabled and not is_listening(settings.mcp_host, settings.mcp_port):
        code |= MCP_DOWN
    return code
