"""Connections to proxies that carry the connections to providers.

mitmproxy opens and closes the connection to the proxy alone; the one inside has no socket. Its
`HttpLayer` files both under the same layer.
"""

from __future__ import annotations

from mitmproxy.connection import Server
from mitmproxy.proxy.server import ConnectionHandler

from interceptor.mitm.ending.stop_streams import http_layer_of


def tunnel_of(handler: ConnectionHandler, inside: Server) -> Server | None:
    """Return the connection to the proxy that carries another one; None when it is gone.

    Before the tunnel stands, a flow knows the address alone: then it is the newest one to there.
    """
    http = http_layer_of(handler)
    if http is None:
        return None
    stack = http.connections.get(inside)
    if stack is None:
        same = [
            layer
            for connection, layer in http.connections.items()
            if isinstance(connection, Server)
            and connection.via == inside.via
            and connection.address == inside.address
        ]
        stack = same[-1] if same else None
    for connection in handler.transports:
        is_tunnel = isinstance(connection, Server) and connection is not inside
        if is_tunnel and stack is not None and http.connections.get(connection) is stack:
            return connection  # type: ignore[return-value]  # narrowed by is_tunnel
    return None
