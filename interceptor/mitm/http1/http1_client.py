"""The side of an HTTP/1 connection that talks to the provider, with limits and strict framing.

Informational (1xx) responses are skipped, trailers are dropped, heads are bounded.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import h11
from mitmproxy.connection import ConnectionState
from mitmproxy.http import Request, Response
from mitmproxy.net.http import http1
from mitmproxy.net.http.http1 import connection_close
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpLayer, _http1
from mitmproxy.proxy.layers.http._base import HttpEvent, ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestHeaders,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)

from interceptor.mitm.http1.head_request import request_of
from interceptor.mitm.http_stream import detour_of
from interceptor.mitm.request_head import (
    Head,
)
from interceptor.mitm.response_head import MAX_INFORMATIONAL, BadResponse, end_of_head, split_head
from interceptor.transport.detour import Fields, OutgoingHead, TransportAddress

Commands = Generator[commands.Command, Any, None]


class LimitedClient(_http1.Http1Client):
    """The side that talks to the provider."""

    fast_path: Any = None
    """The response's own, where a subclass has one; None again when its body has ended."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._scanned = 0
        self._informational = 0
        self._is_last = False

    def send(self, event: HttpEvent) -> Commands:
        """Write a part of the request; its headers stay here if the transport sends it."""
        address = self.context.server.address
        if isinstance(event, RequestHeaders) and isinstance(address, TransportAddress):
            event = self._for_transport(event)
        yield from super().send(event)

    def _for_transport(self, event: RequestHeaders) -> RequestHeaders:
        """Announce the request to the transport; return the headers for the loopback connection."""
        layer = next(each for each in self.context.layers[::-1] if isinstance(each, HttpLayer))
        flow, request = layer.streams[event.stream_id].flow, event.request
        detour = detour_of(flow)
        assert detour is not None  # noqa: S101  # it gave the connection's address
        head = OutgoingHead(request.method, request.data.path, _fields_of(request))
        fields = (*detour.announce(head), *_framing(request))
        loopback = request_of(Head(request.data.method, b"/", b"HTTP/1.1", fields, 0))
        return RequestHeaders(event.stream_id, loopback, event.end_stream)

    def read_headers(self, event: events.ConnectionEvent) -> Commands:
        """Wait for the final response's headers and check them."""
        if isinstance(event, events.ConnectionClosed):
            when = "in the middle of its response headers" if self.buf else "without a response"
            yield from self._fail(f"it closed the connection {when}")
            return
        if self.request is None or self.stream_id is None:
            # Data that no request asked for could be taken for the next one's response.
            yield commands.CloseConnection(self.conn)
            return
        try:
            head = self._take_final_head()
            if head is None:
                return
            self.response = http1.read_response_head(head)
            size = http1.expected_http_body_size(self.request, self.response)
        except BadResponse as exc:
            yield from self._fail(str(exc))
            return
        except ValueError:
            yield from self._fail("it sent malformed response headers")
            return
        self._informational = 0
        self._is_last = _closes_behind(self.response, size)
        self.fast_path = None
        yield ReceiveHttp(ResponseHeaders(self.stream_id, self.response, size == 0))
        self.body_reader = _http1.make_body_reader(size)
        self.state = self.read_body
        yield from self.state(event)

    def _take_final_head(self) -> list[bytes] | None:
        """Return the lines of the final response's headers, None until they are complete.

        RFC 9110, 15.2: any number of informational responses may come first. 101 is final for a
        client that asked for an upgrade, and an error else.
        """
        while self.buf:
            end = end_of_head(self.buf._data, self._scanned)
            if end is None:
                self._scanned = len(self.buf)
                return None
            self._scanned = 0
            lines = split_head(self.buf.maybe_extract_at_most(end) or b"")
            status = lines[0][9:12]  # behind b"HTTP/1.1 "
            if not status.startswith(b"1"):
                return lines
            if status == b"101":
                if self._asked_for_upgrade():
                    return lines
                raise BadResponse("it switched protocols (101), which the request did not ask for")
            self._informational += 1
            if self._informational > MAX_INFORMATIONAL:
                raise BadResponse(
                    f"it sent more than {MAX_INFORMATIONAL} informational (1xx) responses and no"
                    " final response"
                )
        return None

    def _asked_for_upgrade(self) -> bool:
        return self.request is not None and "upgrade" in self.request.headers

    def read_body(self, event: events.Event) -> Commands:
        """Forward the body chunk by chunk."""
        while self.state == self.read_body and self.stream_id is not None:
            try:
                if isinstance(event, events.DataReceived):
                    part = self.body_reader(self.buf)
                else:
                    # A body without a length ends here (RFC 9112, 6.3); others are cut off.
                    part = self.body_reader.read_eof()
            except h11.ProtocolError:
                yield from self._body_failed(event)
                return
            if part is None:
                return
            if isinstance(part, h11.Data):
                if part.data:
                    yield from self.forward(bytes(part.data))
                continue
            self.fast_path = None
            yield ReceiveHttp(ResponseEndOfMessage(self.stream_id))
            yield from self.mark_done(response=True)
            return

    def mark_done(self, *, request: bool = False, response: bool = False) -> Commands:
        """Close the connection behind a response that ends with it, or says so.

        Addons change the response's headers meanwhile: a body without a length gets a framing for
        the client. The connection would stay half open, and take one of the five places that a
        client's connection has for a provider.
        """
        is_done = (request or self.request_done) and (response or self.response_done)
        if not (is_done and self._is_last):
            yield from super().mark_done(request=request, response=response)
            return
        self.request_done = self.response_done = True
        if self.conn.state is not ConnectionState.CLOSED:
            yield commands.CloseConnection(self.conn)
        self.state = self.done

    def forward(self, data: bytes) -> Commands:
        """Give a chunk of the body to its stream."""
        assert self.stream_id is not None  # noqa: S101  # narrowed by the caller
        yield ReceiveHttp(ResponseData(self.stream_id, data))

    def _body_failed(self, event: events.Event) -> Commands:
        if isinstance(event, events.DataReceived):
            yield from self._fail("it sent a response whose framing is malformed")
        else:
            yield from self._fail("it closed the connection in the middle of its response")

    def _fail(self, message: str) -> Commands:
        if self.conn.state is not ConnectionState.CLOSED:
            yield commands.CloseConnection(self.conn)
        self.state = self.done
        if self.stream_id is not None:
            yield ReceiveHttp(
                ResponseProtocolError(self.stream_id, message, ErrorCode.GENERIC_SERVER_ERROR)
            )


def _closes_behind(response: Response, size_bytes: int | None) -> bool:
    """Return whether a response is its connection's last one, by the provider's own headers.

    RFC 9112, 6.3 and 9.6: a body without a length ends with the connection; others may say so.
    """
    if response.status_code == 101:
        return False
    return size_bytes == -1 or connection_close(response.http_version, response.headers)


def _fields_of(request: Request) -> Fields:
    """Return a request's header fields with one Cookie (RFC 9113, 8.2.3: HTTP/1.1 wants one)."""
    fields: Fields = request.headers.fields
    cookies = [value for name, value in fields if name.lower() == b"cookie"]
    if len(cookies) < 2:
        return fields
    rest = [field for field in fields if field[0].lower() != b"cookie"]
    return (*rest, (b"cookie", b"; ".join(cookies)))


def _framing(request: Request) -> Fields:
    """Return the header field that frames the body on the loopback connection."""
    if not request.stream:
        return ((b"content-length", b"%d" % len(request.raw_content or b"")),)
    length = request.headers.get("content-length", "")
    if length:
        return ((b"content-length", length.encode()),)
    return ((b"transfer-encoding", b"chunked"),)
