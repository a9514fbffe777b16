"""uvicorn within this process: a loopback port of the kernel's choice, and no log of its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from interceptor.transport.detour import AnnouncedRequests, TransportAddress
from interceptor.transport.relay import FindRoute, Relay
from interceptor.transport.sessions import Sessions

KEEP_ALIVE_S = 24 * 3600
"""mitmproxy closes its connections itself, with the client's."""
STOP_S = 2


class LoopbackServer:
    """The running application. To be made on the loop that it runs on."""

    def __init__(self, book: AnnouncedRequests, find_route: FindRoute) -> None:
        self.sessions = Sessions()
        self._socket = _listening_socket()
        self.address = TransportAddress(*self._socket.getsockname()[:2])
        config = uvicorn.Config(
            Relay(book, self.sessions, find_route),
            interface="asgi3",
            http="h11",
            ws="none",
            lifespan="off",
            # uvicorn's own configuration would close the handlers of the root logger.
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_S,
        )
        self._server = _QuietServer(config)
        # Connections wait in the socket's queue until uvicorn is up.
        self._task = asyncio.create_task(
            self._server.serve([self._socket]), name="fingerprint transport"
        )

    async def stop(self) -> None:
        """Stop listening, end what runs, close libcurl's connections."""
        self._server.should_exit = True
        await asyncio.wait({self._task}, timeout=STOP_S + 1)
        self._task.cancel()
        self._socket.close()
        await self.sessions.close()


def _listening_socket() -> socket.socket:
    """Return a socket that listens on a loopback port of the kernel's choice."""
    # asyncio sets TCP_NODELAY only where the protocol is named; without it a response waits 40 ms
    # for the acknowledgement of its headers.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen(2048)
    return listening


class _QuietServer(uvicorn.Server):
    """uvicorn without signal handlers: the process has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
