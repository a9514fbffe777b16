"""The listening sockets: room for a burst of clients."""

from __future__ import annotations

import os
import socket

from mitmproxy.addons.proxyserver import Proxyserver

BACKLOG = 1024
"""Connections that may wait to be accepted; asyncio's own 100 are fewer than the clients of one busy test run."""


def raise_backlog(server: Proxyserver) -> None:
    """Let every TCP listener of mitmproxy queue `BACKLOG` connections; listening again only changes that number."""
    for instance in server.servers:
        for listener in getattr(instance, "_servers", []):
            for bound in getattr(listener, "sockets", []):
                with socket.socket(fileno=os.dup(bound.fileno())) as twin:
                    if twin.type == socket.SOCK_STREAM:
                        twin.listen(BACKLOG)
