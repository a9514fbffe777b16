"""Serves the console with Daphne on an event loop that the proxy runs on too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

WEBSOCKET_MAX_MESSAGE_BYTES = 256 * 1024
HTTP_TIMEOUT_S = 120


def run_with_console(
    loop: asyncio.AbstractEventLoop, host: str, port: int, on_ready: Callable[[], None]
) -> None:
    """Block until `stop_console` is called; `on_ready` runs once the console listens.

    Twisted's reactor is put on `loop` first, before anything else of Twisted is imported.
    """
    from twisted.internet import asyncioreactor

    asyncioreactor.install(loop)
    from daphne.endpoints import build_endpoint_description_strings
    from daphne.server import Server

    server = Server(
        application=import_string(settings.ASGI_APPLICATION),
        endpoints=build_endpoint_description_strings(host=host.strip("[]"), port=port),
        signal_handlers=False,
        ready_callable=on_ready,
        http_timeout=HTTP_TIMEOUT_S,
        websocket_max_message_size=WEBSOCKET_MAX_MESSAGE_BYTES,
        websocket_max_frame_size=WEBSOCKET_MAX_MESSAGE_BYTES,
        verbosity=0,
        server_name="",
    )
    server.run()


def stop_console() -> None:
    """End `run_with_console`."""
    reactor: Any
    from twisted.internet import reactor

    if reactor.running:
        reactor.stop()
