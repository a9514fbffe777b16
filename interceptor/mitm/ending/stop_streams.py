"""The way of the event that the proxy stops: to every open stream of a client's connection."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layer import Layer
from mitmproxy.proxy.layers.http import HttpLayer, HTTPMode, HttpStream
from mitmproxy.proxy.server import ConnectionHandler

from interceptor.mitm.http_stream import LimitedStream, ProxyStopped

Commands = Generator[commands.Command, Any, None]


def http_layer_of(handler: ConnectionHandler) -> HttpLayer | None:
    """Return the HTTP layer of a client's connection, below those that unpack its bytes.

    None for a connection of another protocol, or one whose protocol is not known yet.
    """
    found = _http_layer_below(handler.layer)
    while found is not None and (tunnel := _tunnel_in(found)) is not None:
        found = _http_layer_below(tunnel.child_layer)
    return found


def _http_layer_below(below: Layer | None) -> HttpLayer | None:
    while below is not None and not isinstance(below, HttpLayer):
        # NextLayer calls the layer it chose `layer`, the others `child_layer`.
        below = getattr(below, "layer", None) or getattr(below, "child_layer", None)
    return below


def _tunnel_in(layer: HttpLayer) -> HttpStream | None:
    """Return the stream of a client's CONNECT to the forward proxy, None without one."""
    streams = layer.streams.values() if layer.mode is HTTPMode.regular else ()
    return next((stream for stream in streams if stream.child_layer is not None), None)


def open_streams(layer: HttpLayer) -> Iterator[LimitedStream]:
    """Yield the streams that have more to send to the client."""
    for stream in list(layer.streams.values()):
        if isinstance(stream, LimitedStream) and stream.is_open:
            yield stream


async def stop_streams(handler: ConnectionHandler, message: str) -> bool:
    """End every open stream of a client's connection with `message`; return whether one was open.

    The event takes the way of all others through the layers, which may encrypt what it causes.
    """
    layer = http_layer_of(handler)
    if layer is None or not any(open_streams(layer)):
        return False
    usual: Any = layer._handle_event

    def handle(event: events.Event) -> Commands:
        if not isinstance(event, ProxyStopped):
            yield from usual(event)
            return
        for stream in open_streams(layer):
            stream.prepare_to_stop()
            yield from layer.event_to_child(stream, event)

    # mitmproxy's layer knows no such event. Only this connection's layer is replaced, and only now:
    # the others' events take no further step.
    vars(layer)["_handle_event"] = handle
    outside = _http_layer_below(handler.layer)
    if outside is not None and outside is not layer:
        _lead_inside(outside)
    await handler.server_event(ProxyStopped(message))
    return True


def _lead_inside(outside: HttpLayer) -> None:
    """Let the layer around a tunnel take the event inside."""
    usual: Any = outside._handle_event

    def handle(event: events.Event) -> Commands:
        tunnel = _tunnel_in(outside) if isinstance(event, ProxyStopped) else None
        if tunnel is None:
            yield from usual(event)
        else:
            yield from outside.event_to_child(tunnel, event)

    vars(outside)["_handle_event"] = handle
