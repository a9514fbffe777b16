"""The side of an HTTP/1 connection that talks to the client, with limits and strict framing.

- A request that is malformed or too large is answered in JSON at once. The connection stays half
  open for a moment, so that the client can read the response while it is still sending.
- Trailers are dropped, heads are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

import h11
from h11._receivebuffer import ReceiveBuffer
from mitmproxy.connection import ConnectionState
from mitmproxy.http import Request
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import _http1
from mitmproxy.proxy.layers.http._base import HttpEvent, ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)

from interceptor.access.peer_socket import has_owner
from interceptor.forward.mode import ForwardMode, is_outside
from interceptor.forward.request_target import (
    DEFAULT_PORTS,
    BadTarget,
    Target,
    absolute_target,
    connect_target,
    parse_authority,
)
from interceptor.mitm import error_page
from interceptor.mitm.deadlines import DEADLINES
from interceptor.mitm.http1.head_request import request_of
from interceptor.mitm.http_stream import is_reverse
from interceptor.mitm.request_head import (
    MAX_TARGET_BYTES,
    Head,
    HeadRefused,
    blank_lines,
    check_unfinished,
    read_head,
)
from providers.wire.detect import family_of

Commands = Generator[commands.Command, Any, None]

MAX_PIPELINED_BYTES = 1024 * 1024
"""What a client may send ahead while its request is being answered."""


class LimitedServer(_http1.Http1Server):
    """The side that talks to the client."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._scanned = 0
        is_forward = isinstance(context.client.proxy_mode, ForwardMode)
        self._is_forward = is_forward and is_outside(context)

    def send(self, event: HttpEvent) -> Commands:
        """Write a part of the response."""
        if isinstance(event, ResponseProtocolError):
            yield from self._send_error(event)
            return
        # RFC 9112, 6.3: a response to HEAD has no body, whatever its headers say.
        if isinstance(event, ResponseData) and self.request and self.request.method == "HEAD":
            return
        yield from super().send(event)
        # 100 Continue is not the response; that is still to come, and may be an error.
        if isinstance(event, ResponseHeaders) and event.response.status_code == 100:
            self.response = None
        # An addon answered before the client's body was complete.
        is_end = isinstance(event, ResponseEndOfMessage)
        if is_end and self.response_done and self.state == self.read_body:
            yield from self._linger()

    def _send_error(self, event: ResponseProtocolError) -> Commands:
        if not self.conn.state & ConnectionState.CAN_WRITE:
            return
        status = event.code.http_status_code()
        # Behind the head of a response nothing can be added but an early end.
        if not self.response and status is not None:
            yield commands.SendData(self.conn, _http1.make_error_response(status, event.message))
            if not self.request_done:
                yield from self._linger()
                return
        yield commands.CloseConnection(self.conn)

    def read_headers(self, event: events.ConnectionEvent) -> Commands:
        """Wait for the complete headers and check them."""
        if isinstance(event, events.ConnectionClosed):
            yield commands.CloseConnection(self.conn)
            return
        try:
            head = self._take_head()
            if head is None:
                return
            request = _forward_request(head) if self._is_forward else request_of(head)
        except HeadRefused as exc:
            yield from self._refuse(exc.status_code, exc.message)
            return
        DEADLINES.clear(self.conn.id)
        self.request = request
        yield ReceiveHttp(RequestHeaders(self.stream_id, self.request, head.size_bytes == 0))
        self.body_reader = _http1.make_body_reader(head.size_bytes)
        self.state = self.read_body
        yield from self.state(event)

    def _take_head(self) -> Head | None:
        self.buf.maybe_extract_at_most(blank_lines(self.buf._data))
        data = self.buf._data
        # What was searched before is not searched again: a client may send single bytes.
        end = data.find(b"\r\n\r\n", max(0, self._scanned - 3))
        if end < 0:
            check_unfinished(data, max(0, self._scanned - 1), forward=self._is_forward)
            self._scanned = len(data)
            if data:
                DEADLINES.expect_head(self.conn.id)
            return None
        self._scanned = 0
        head = read_head(data[:end], forward=self._is_forward)
        self.buf.maybe_extract_at_most(end + 4)
        return head

    def read_body(self, event: events.Event) -> Commands:
        """Forward the body chunk by chunk."""
        while self.state == self.read_body:
            try:
                part = self._next_part(event)
            except h11.ProtocolError:
                yield from self._body_failed(event)
                return
            if part is None:
                # A captured client has its own idea of how long its upload may take.
                if is_reverse(self.context):
                    DEADLINES.expect_body(self.conn.id)
                return
            if isinstance(part, h11.Data):
                if part.data:
                    yield ReceiveHttp(RequestData(self.stream_id, bytes(part.data)))
                continue
            DEADLINES.clear(self.conn.id)
            # Behind a CONNECT the end would close the tunnel.
            if self.request is not None and self.request.data.method != b"CONNECT":
                yield ReceiveHttp(RequestEndOfMessage(self.stream_id))
            yield from self.mark_done(request=True)
            return

    def _next_part(self, event: events.Event) -> h11.Data | h11.EndOfMessage | None:
        if isinstance(event, events.DataReceived):
            return self.body_reader(self.buf)
        return self.body_reader.read_eof()

    def _body_failed(self, event: events.Event) -> Commands:
        stream_id, message = self.stream_id, "The framing of the request's body is malformed."
        is_malformed = isinstance(event, events.DataReceived)
        if not is_malformed:
            message = "The client closed the connection before its request was complete."
        # The flow is recorded here, before the client can read that it failed.
        yield ReceiveHttp(RequestProtocolError(stream_id, message, ErrorCode.GENERIC_CLIENT_ERROR))
        if is_malformed:
            yield from self._refuse(400, message)
        else:
            yield commands.CloseConnection(self.conn)

    def wait(self, event: events.Event) -> Commands:
        """Let the client send a little ahead, or go away, while its response is under way."""
        if isinstance(event, events.DataReceived) and len(self.buf) > MAX_PIPELINED_BYTES:
            event = events.ConnectionClosed(self.conn)
        elif isinstance(event, events.ConnectionClosed) and self._still_waits():
            return
        yield from super().wait(event)

    def _still_waits(self) -> bool:
        """Return whether the client only stopped sending and still reads (RFC 9112, 9.6)."""
        client = self.context.client
        if self.conn.state is not ConnectionState.CAN_WRITE or client.tls:
            return False
        if not is_reverse(self.context):
            return False
        return has_owner(client.peername[:2], client.sockname[:2])

    def mark_done(self, *, request: bool = False, response: bool = False) -> Commands:
        """Close behind the last response to a client that has stopped sending."""
        yield from super().mark_done(request=request, response=response)
        can_read = self.conn.state & ConnectionState.CAN_READ
        if response and not can_read and self.state == self.read_headers:
            yield commands.CloseConnection(self.conn)

    def _refuse(self, status: int, message: str) -> Commands:
        """Answer a request that no addon will see."""
        family = None
        if self.request is not None:
            family = family_of(self.request.path, self.request.headers.get)
        elif found := re.match(rb"[A-Z]+ (/[^\s?]{0,200})", self.buf._data[:MAX_TARGET_BYTES]):
            family = family_of(found[1].decode("latin-1"))
        if not self.response:
            yield commands.SendData(self.conn, error_page.refusal(family, status, message))
        yield from self._linger()

    def _linger(self) -> Commands:
        """Write nothing more, and read without keeping anything.

        RFC 9112, 9.6: after a full close the client's next bytes are answered with a TCP reset,
        which can take the response from the client before it has read it.
        """
        self.state = self._lingering
        self.buf = ReceiveBuffer()
        DEADLINES.linger(self.conn.id)
        yield commands.CloseTcpConnection(self.conn, half_close=True)

    def _lingering(self, event: events.Event) -> Commands:
        self.buf = ReceiveBuffer()
        if isinstance(event, events.ConnectionClosed):
            yield commands.CloseConnection(self.conn)


def _forward_request(head: Head) -> Request:
    """Return a request to the forward proxy: its target tells where it goes.

    Raises:
        HeadRefused: the target is malformed, or Host names another one.
    """
    try:
        target = _target_of(head)
    except BadTarget as exc:
        raise HeadRefused(400, str(exc)) from None
    request = request_of(head)
    data = request.data
    data.host, data.port, data.path = target.host, target.port, target.path
    data.scheme = target.scheme.encode()
    if head.method == b"CONNECT":
        data.authority = head.target
    return request


def _target_of(head: Head) -> Target:
    if head.method == b"CONNECT":
        return connect_target(head.target)
    hosts = [text for name, text in head.fields if name.lower() == b"host"]
    named, port = parse_authority(hosts[0])
    if head.target.startswith(b"/"):
        return Target("http", named, port or DEFAULT_PORTS["http"], head.target)
    target = absolute_target(head.target)
    # RFC 9112, 3.2.2: the target counts. Its server would see the other name.
    if (named, port or DEFAULT_PORTS[target.scheme]) != (target.host, target.port):
        raise BadTarget("The request's URL and its Host header name two hosts.")
    return target
