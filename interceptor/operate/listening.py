"""Listening sockets that a parent opens for its children. Standard library only."""

from __future__ import annotations

import socket

from providers.base.errors import ConfigError

BACKLOG = 1024
"""Connections that may wait to be accepted; asyncio's own 100 are fewer than the clients of one
busy test run.
"""


def open_listeners(host: str, port: int) -> list[socket.socket]:
    """Return listening sockets at every address of `host`, which child processes may inherit.

    Raises:
        ConfigError: the address cannot be bound.
    """
    opened: list[socket.socket] = []
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in dict.fromkeys(infos):
            listener = socket.socket(family, socket.SOCK_STREAM)
            opened.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Otherwise [::] would take the IPv4 port too, and 0.0.0.0 could not be bound.
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
    except OSError as exc:
        for listener in opened:
            listener.close()
        raise ConfigError(f"cannot listen on {host}:{port}: {exc.strerror}") from None
    return opened
