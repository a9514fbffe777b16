"""Fast paths of HTTP/1 bodies, past mitmproxy's layers and buffers.

mitmproxy 12.2 passes each chunk of a response through nine generators, although only the record's
tee looks at it: two fifths of an event's CPU time. It copies each chunk of an upload three times.
Headers, ends, errors and HTTP/2 take mitmproxy's own path.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from h11._readers import ContentLengthReader
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layers import http
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import RequestData, ResponseData
from mitmproxy.proxy.layers.http._http1 import Http1Client, Http1Server

from interceptor.exchange.tee import StreamTee
from interceptor.mitm.chunked_body import FastChunkedReader, complete_chunks
from interceptor.mitm.http1.http1_client import LimitedClient
from interceptor.mitm.http1.http1_server import LimitedServer

Commands = Generator[commands.Command, Any, None]


class FastServer(LimitedServer):
    """The client's side; forwards a large upload's chunks without its buffer."""

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, events.DataReceived) and not self.buf and self.state == self.read_body:
            reader = self.body_reader
            if isinstance(reader, ContentLengthReader) and 0 < len(event.data) <= reader._remaining:
                reader._remaining -= len(event.data)
                yield ReceiveHttp(RequestData(self.stream_id, event.data))
                # The reader then sees an empty chunk, and ends the message when none is missing.
                event = events.DataReceived(event.connection, b"")
        yield from super()._handle_event(event)


class FastClient(LimitedClient):
    """The provider's side; writes a streamed response to the client at once."""

    fast_path: StreamFastPath | None = None

    def handle_event(self, event: events.Event) -> Iterable[commands.Command]:  # type: ignore[override]
        """Return the commands for an event; for usual data of a streamed body only the bytes."""
        path = self.fast_path
        if path is None or type(event) is not events.DataReceived or self.buf:
            return super().handle_event(event)
        if self._paused is not None or self.state != self.read_body or not path.is_open:
            return super().handle_event(event)
        parts = complete_parts(event.data, self.body_reader)
        if parts is None:
            return super().handle_event(event)
        sent = b"".join([path.framed(part) for part in parts])
        return (commands.SendData(self.context.client, sent),) if sent else ()

    def forward(self, data: bytes) -> Commands:
        """Give a chunk of the body to its stream, or to the client when the fast path is open."""
        path = self.fast_path
        if path is None:
            path = self.fast_path = fast_path_of(self)
        sent = path.forward(data) if path is not None else None
        if sent is None:
            assert self.stream_id is not None  # noqa: S101  # narrowed by the caller
            yield ReceiveHttp(ResponseData(self.stream_id, data))
        elif sent:
            yield commands.SendData(self.context.client, sent)


class StreamFastPath:
    """Fast path of one streamed response: from the provider's connection to the client's.

    Args:
        stream: the layer that would take its chunks.
        server: the layer that would write them to the client.
        tee: sees every chunk, and returns what the client gets.
    """

    __slots__ = ("_chunked", "_server", "_stream", "_tee")

    def __init__(self, stream: http.HttpStream, server: Http1Server, tee: StreamTee) -> None:
        self._stream = stream
        self._server = server
        self._tee = tee
        coding = server.response.headers.get("transfer-encoding", "") if server.response else ""
        self._chunked = "chunked" in coding.lower()

    def forward(self, data: bytes) -> bytes | None:
        """Return the bytes for the client's connection, b"" for none.

        Returns None while the path is closed.
        """
        return self.framed(data) if self.is_open else None

    @property
    def is_open(self) -> bool:
        """False while a layer waits for something: a chunk would overtake what it holds."""
        return is_streaming(self._stream) and self._server._paused is None

    def framed(self, data: bytes) -> bytes:
        """Return the bytes for the client's connection, b"" for none."""
        data = self._tee(data) or b""
        # RFC 9112, 7.1: an empty chunk would end the body.
        return b"%x\r\n%s\r\n" % (len(data), data) if data and self._chunked else data


def complete_parts(data: bytes, reader: Any) -> list[bytes] | None:
    """Return the parts of a body in what arrived behind an earlier one.

    Returns None for the reader's own work: a part of a chunk, the last part.
    """
    if type(reader) is FastChunkedReader:
        return complete_chunks(data) if reader.is_between_chunks else None
    if type(reader) is ContentLengthReader and 0 < len(data) < reader._remaining:
        reader._remaining -= len(data)
        return [data]
    return None


def is_streaming(stream: http.HttpStream) -> bool:
    """Return whether the stream forwards chunks of a response and waits for nothing."""
    return stream._paused is None and stream.server_state == stream.state_stream_response_body


def fast_path_of(client: Http1Client) -> StreamFastPath | None:
    """Return the fast path of the response that a provider's connection carries, if it is open."""
    layer = _http_layer(client)
    if layer is None or client.stream_id is None:
        return None
    stream = layer.streams.get(client.stream_id)
    if stream is None or not is_streaming(stream):
        return None
    # The stream itself would keep the chunks then.
    if client.context.options.store_streamed_bodies:
        return None
    server, response = layer.connections.get(client.context.client), stream.flow.response
    if not isinstance(server, Http1Server) or response is None or server.response is not response:
        return None
    if server.stream_id != stream.stream_id:
        return None
    if server.request is not None and server.request.method == "HEAD":
        return None
    if not isinstance(response.stream, StreamTee):
        return None
    return StreamFastPath(stream, server, response.stream)


def _http_layer(client: Http1Client) -> http.HttpLayer | None:
    for layer in reversed(client.context.layers):
        if isinstance(layer, http.HttpLayer):
            return layer
    return None
