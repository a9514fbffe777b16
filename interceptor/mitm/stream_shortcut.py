"""A streamed answer's short way: from the provider's HTTP/1 connection to the client's, past the
layers between.

mitmproxy 12.2 hands each piece of an answer through nine generators, although nobody but the
record's tee looks at it: two fifths of an event's CPU time. Heads, ends, errors and HTTP/2 go the
long way.
"""

from __future__ import annotations

from mitmproxy.proxy.layers import http
from mitmproxy.proxy.layers.http._http1 import Http1Client, Http1Server

from interceptor.exchange.tee import StreamTee


class StreamLane:
    """One answer that is being streamed.

    Args:
        stream: the layer that would take its pieces.
        server: the layer that would write them to the client.
        tee: sees every piece, and says what the client gets.
    """

    __slots__ = ("_chunked", "_server", "_stream", "_tee")

    def __init__(self, stream: http.HttpStream, server: Http1Server, tee: StreamTee) -> None:
        self._stream, self._server, self._tee = stream, server, tee
        head = server.response.headers.get("transfer-encoding", "") if server.response else ""
        self._chunked = "chunked" in head.lower()

    def pass_on(self, data: bytes) -> bytes | None:
        """What the client's connection gets for a piece, b"" for nothing; None: it has to go the
        long way.
        """
        if not is_streaming(self._stream) or self._server._paused is not None:
            return None
        data = self._tee(data) or b""
        return b"%x\r\n%s\r\n" % (len(data), data) if data and self._chunked else data


def is_streaming(stream: http.HttpStream) -> bool:
    """True when the stream passes pieces of an answer on, and waits for nothing."""
    return stream._paused is None and stream.server_state == stream.state_stream_response_body


def lane_of(client: Http1Client) -> StreamLane | None:
    """The short way for the answer that a provider's connection is giving, if there is one by
    now.
    """
    layer = next(
        (layer for layer in reversed(client.context.layers) if isinstance(layer, http.HttpLayer)),
        None,
    )
    stream = (
        layer.streams.get(client.stream_id)
        if layer is not None and client.stream_id is not None
        else None
    )
    if (
        layer is None
        or stream is None
        or not is_streaming(stream)
        or client.context.options.store_streamed_bodies
    ):
        return None
    server, response = layer.connections.get(client.context.client), stream.flow.response
    if not isinstance(server, Http1Server) or response is None or server.response is not response:
        return None
    if server.stream_id != stream.stream_id or (
        server.request is not None and server.request.method == "HEAD"
    ):
        return None
    return (
        StreamLane(stream, server, response.stream)
        if isinstance(response.stream, StreamTee)
        else None
    )
