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

from interceptor.operate.listening import BACKLOG
from interceptor.stock_addons import Proxyserver

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
