"""Connection handler that notices peers which go away where mitmproxy does not.

- A client may stop sending and still read (`shutdown(SHUT_WR)`). Nothing arrives from it any more,
  so nothing says that it left, and mitmproxy would go on asking its provider.
- A provider may reset a connection before mitmproxy has asked the system for its address. mitmproxy
  asserts that there is one, and the request would wait for ever, as after any other exception
  while a connection is opened.
- A client's HTTP/2 connection may have more streams at once than mitmproxy opens connections to one
  HTTP/1 provider. Further ones would wait until an earlier stream ends, for minutes.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import Any

from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import commands, events, mode_servers, server_hooks
from mitmproxy.proxy.mode_specs import ReverseMode
from mitmproxy.utils import asyncio_utils

HALF_CLOSED_CHECK_S = 1.0
"""Between two looks at a client that has stopped sending."""
MAX_CONNECTIONS = 100
"""From one client connection to one provider.

RFC 9113, 6.5.2: a server should let its client have this many streams at once.
"""
RESET = "the connection was reset as soon as it was open"
FAILED = "the connection could not be opened; the log says why"
logger = logging.getLogger(__name__)


class PeerWatchingHandler(mode_servers.ProxyConnectionHandler):
    """One client connection and the server connections that are opened for it."""

    _watch: asyncio.Task[None] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self.max_conns = defaultdict(lambda: asyncio.Semaphore(MAX_CONNECTIONS))

    async def open_connection(self, command: commands.OpenConnection) -> None:
        """Connect to a server, and read from it until its end."""
        try:
            await super().open_connection(command)
        except Exception as exc:
            # Once a connection is open it has the address of its peer.
            if command.connection.peername:
                raise
            if not isinstance(exc, AssertionError):
                logger.exception("The connection to %s failed", command.connection.address)
            await self._tell_of_failure(
                command, RESET if isinstance(exc, AssertionError) else FAILED
            )

    async def _tell_of_failure(self, command: commands.OpenConnection, error: str) -> None:
        server = command.connection
        transport = self.transports.pop(server, None)
        if transport is not None and transport.writer is not None:
            transport.writer.close()
        server.state = ConnectionState.CLOSED
        server.error = error
        data = server_hooks.ServerConnectionHookData(client=self.client, server=server)
        await self.handle_hook(server_hooks.ServerConnectErrorHook(data))
        await self.server_event(events.OpenConnectionCompleted(command, error))

    async def server_event(self, event: events.Event) -> None:
        """Handle an event as mitmproxy does."""
        await super().server_event(event)
        self.watch_after(event)

    def watch_after(self, event: events.Event) -> None:
        """Ask again and again while the client's layer lets a half-closed connection live."""
        if not isinstance(event, events.ConnectionClosed) or event.connection is not self.client:
            return
        is_reverse = isinstance(self.client.proxy_mode, ReverseMode)
        is_half_closed = self.client.state is ConnectionState.CAN_WRITE
        if self._watch is None and is_reverse and is_half_closed:
            self._watch = asyncio_utils.create_task(
                self._repeat_close(),
                name="half-closed client",
                keep_ref=True,
                client=self.client.peername,
            )

    async def _repeat_close(self) -> None:
        while self.client in self.transports and self.client.state is ConnectionState.CAN_WRITE:
            await asyncio.sleep(HALF_CLOSED_CHECK_S)
            await self.server_event(events.ConnectionClosed(self.client))
