"""One listener of the forward proxy, for one run or for all clients with a token."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from interceptor.forward.mode import ForwardInstance, ForwardMode, Reads
from interceptor.stock_addons import Proxyserver

LOOPBACK = "127.0.0.1"
STATIC_KEY = "static"
"""Names the listener for clients with a token, which no run owns."""


@dataclass(frozen=True, slots=True)
class ForwardServer:
    """Listener; `key` is the part of its flows' mode that names it."""

    key: str
    port: int
    instance: ForwardInstance
    manager: Proxyserver

    async def stop(self) -> None:
        """Stop listening, and close every connection that came through it."""
        if self.instance.is_running:
            await self.instance.stop()
        for handler in list(self.manager.connections.values()):
            if handler.client.proxy_mode is self.instance.mode:
                for connection in list(handler.transports):
                    handler.close_connection(connection)


async def start_forward_server(
    manager: Proxyserver, reads: Reads, *, host: str = LOOPBACK, port: int = 0, key: str = ""
) -> ForwardServer:
    """Start a listener; port 0 means any free one, and `key` "" one of its own.

    Raises:
        OSError: it cannot listen.
    """
    key = key or f"forward-{secrets.token_hex(6)}"
    address = f"[{host}]" if ":" in host else host
    # ProxyMode.parse would cache every mode it ever made.
    mode = ForwardMode(f"regular@{address}:{port}", key, host, port, reads)
    made = ForwardInstance(mode, manager)
    await made.start()
    return ForwardServer(key, made.listen_addrs[0][1], made, manager)
