"""Drain of a proxy that stops: running flows may finish, then the others are ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from mitmproxy.proxy.server import ConnectionHandler

from interceptor.mitm.ending.stop_streams import http_layer_of, open_streams, stop_streams
from interceptor.stock_addons import Proxyserver

POLL_S = 0.02
GRACE_S = 1.0
"""For clients to read how their flows ended, before their connections are closed."""


async def wait_until_idle(server: Proxyserver, timeout_s: float) -> bool:
    """Wait until every response has left; return False when some have not after `timeout_s`."""
    return await _wait_until(lambda: not any(map(_is_busy, _handlers(server))), timeout_s)


async def stop_all(server: Proxyserver, message: str) -> int:
    """End every open stream with `message`, and let the clients read it; return their number."""
    count = 0
    stopped: list[ConnectionHandler] = []
    for handler in list(_handlers(server)):
        layer = http_layer_of(handler)
        streams = len(list(open_streams(layer))) if layer is not None else 0
        if streams and await stop_streams(handler, message):
            count += streams
            stopped.append(handler)
    # mitmproxy's own connection handler runs hooks as tasks: what a stream ends with leaves later.
    await _wait_until(lambda: not any(map(_is_busy, stopped)), GRACE_S)
    for handler in stopped:
        _stop_writing(handler)
    await _wait_until(lambda: not any(handler.transports for handler in stopped), GRACE_S)
    return count


async def _wait_until(is_so: Callable[[], bool], timeout_s: float) -> bool:
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not is_so():
        if asyncio.get_running_loop().time() >= deadline:
            return False
        await asyncio.sleep(POLL_S)
    return True


def _handlers(server: Proxyserver) -> Iterator[ConnectionHandler]:
    yield from server.connections.values()


def _is_busy(handler: ConnectionHandler) -> bool:
    """Return True while a response is under way or has not left this process."""
    layer = http_layer_of(handler)
    return (layer is not None and any(open_streams(layer))) or _unsent_bytes(handler) > 0


def _unsent_bytes(handler: ConnectionHandler) -> int:
    writer = _client_writer(handler)
    return writer.transport.get_write_buffer_size() if writer is not None else 0


def _stop_writing(handler: ConnectionHandler) -> None:
    """Close the proxy's half of a client's connection.

    After a full close the client's next bytes would be answered with a TCP reset, which can take
    the response from the client before it has read it (RFC 9112, 9.6).
    """
    if handler.client in handler.transports:
        handler.close_connection(handler.client, half_close=True)


def _client_writer(handler: ConnectionHandler) -> asyncio.StreamWriter | None:
    """Return the writer of a client's connection; None for a tunnel's, which shows no buffer."""
    transport = handler.transports.get(handler.client)
    writer = transport.writer if transport is not None else None
    return writer if isinstance(writer, asyncio.StreamWriter) else None
