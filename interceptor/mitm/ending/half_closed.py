"""Connection handler that notices when a half-closed client goes away for good.

A client may stop sending and still read (`shutdown(SHUT_WR)`). Nothing arrives from it any more, so
nothing says that it left, and mitmproxy would go on asking its provider.
"""

from __future__ import annotations

import asyncio

from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import events, mode_servers
from mitmproxy.proxy.mode_specs import ReverseMode
from mitmproxy.utils import asyncio_utils

HALF_CLOSED_CHECK_S = 1.0
"""Between two looks at a client that has stopped sending."""


class WatchedConnectionHandler(mode_servers.ProxyConnectionHandler):
    """One client connection and the server connections that are opened for it."""

    _watch: asyncio.Task[None] | None = None

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
