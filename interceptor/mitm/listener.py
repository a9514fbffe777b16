"""Listening sockets: room for a burst of clients, and one port for several processes.

Several processes take their connections from one listening socket, which their parent opened before
it started them. So a port that is taken is an error of the parent, and a worker that dies takes no
waiting connection with it. Each worker accepts one connection at a time: a busy one takes none that
an idle one could have.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from typing import Any

from mitmproxy.proxy.mode_servers import ReverseInstance

from interceptor.stock_addons import Proxyserver
from providers.base.errors import ConfigError

BACKLOG = 1024
"""Connections that may wait to be accepted; asyncio's own 100 are fewer than the clients of one
busy test run.
"""
_ACCEPTED_AT_ONCE = 1
"""asyncio accepts as many connections per turn as the backlog it was given."""

_shared: list[socket.socket] = []
_original_listen = ReverseInstance.listen


def raise_backlog(server: Proxyserver) -> None:
    """Let every TCP listener of mitmproxy queue `BACKLOG` connections."""
    for instance in server.servers:
        for listener in getattr(instance, "_servers", []):
            for bound in getattr(listener, "sockets", []):
                with socket.socket(fileno=os.dup(bound.fileno())) as duplicate:
                    if duplicate.type == socket.SOCK_STREAM:
                        # Listening again changes nothing but the number.
                        duplicate.listen(BACKLOG)


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


def share_listeners(sockets: Sequence[socket.socket]) -> None:
    """Accept from `sockets` from now on; none: open sockets of this process's own."""
    _shared[:] = sockets


async def listen_on_shared(self: Any, host: str, port: int) -> list[Any]:
    """Return servers on the shared sockets; without any, what mitmproxy does."""
    if not _shared:
        return list(await _original_listen(self, host, port))
    return [
        await asyncio.start_server(self.handle_stream, sock=listener, backlog=_ACCEPTED_AT_ONCE)
        for listener in _shared
    ]
