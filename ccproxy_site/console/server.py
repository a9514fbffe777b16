"""Serves the console with Daphne on the event loop that the proxy runs on too."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.utils.module_loading import import_string

from providers.base.errors import ConfigError
from providers.base.left_out import left_out

if TYPE_CHECKING:
    from daphne.server import Server

WEBSOCKET_MAX_MESSAGE_BYTES = 256 * 1024
HTTP_TIMEOUT_S = 120
NEVER_USED: Final = (
    # Its listener speaks plain HTTP/1; TLS and HTTP/2 are those of a proxy in front of it.
    "OpenSSL",
    "service_identity",
    "h2",
    # For long messages of websockets; a page sends short ones. Its start parses C declarations.
    "_nvx_utf8validator",
)
"""Modules that Twisted and autobahn would load where they are installed: 70 ms of each start."""


class ConsoleService:
    """The console's listener.

    Daphne is made of Twisted, whose reactor runs as a guest on the loop: it is started and stopped
    here, and never stops the loop. Once a process, because a reactor cannot be replaced.
    """

    name = "the console"
    stop_limit_s = 10.0

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: the address cannot be bound.
        """
        _install_reactor(asyncio.get_running_loop())
        server = _server(self._host, self._port)
        # Daphne would run the reactor, and with it the loop, until the end of the process.
        server.abort_start = True
        server.run()
        _reactor().startRunning(installSignalHandlers=False)
        if not server.listening_addresses:
            await self.stop()
            raise ConfigError(
                f"the console cannot listen on {self._host}:{self._port}; the log says why"
            )

    async def stop(self) -> None:
        """Close the listener and every connection."""
        reactor = _reactor()
        if not reactor.running:
            return
        stopped = asyncio.Event()
        reactor.addSystemEventTrigger("after", "shutdown", stopped.set)
        reactor.stop()
        await stopped.wait()


def _install_reactor(loop: asyncio.AbstractEventLoop) -> None:
    """Put Twisted on `loop`, before any other module of Twisted chooses a reactor."""
    with left_out(*NEVER_USED):
        from twisted.internet.asyncioreactor import AsyncioSelectorReactor
        from twisted.internet.main import installReactor
        from twisted.internet.posixbase import PosixReactorBase

    class GuestReactor(AsyncioSelectorReactor):
        def crash(self) -> None:
            # The asyncio reactor's own `crash` would stop the loop too.
            PosixReactorBase.crash(self)

    installReactor(GuestReactor(loop))


def _reactor() -> Any:
    from twisted.internet import reactor

    return reactor


def _server(host: str, port: int) -> Server:
    with left_out(*NEVER_USED):
        from daphne.endpoints import build_endpoint_description_strings

        from ccproxy_site.console.quiet_server import QuietServer

    return QuietServer(
        application=import_string(settings.ASGI_APPLICATION),
        endpoints=build_endpoint_description_strings(host=host.strip("[]"), port=port),
        signal_handlers=False,
        http_timeout=HTTP_TIMEOUT_S,
        websocket_max_message_size=WEBSOCKET_MAX_MESSAGE_BYTES,
        websocket_max_frame_size=WEBSOCKET_MAX_MESSAGE_BYTES,
        verbosity=0,
        server_name="",
    )
