"""mitmproxy's HTTP layers with limits: sizes, strict framing, interim answers, trailers,
understandable ends.

Written against mitmproxy 12.2: `install` puts subclasses in the place of its HTTP/1 connections and
of its stream. What they rely on is asserted by tests/interceptor/mitm/test_http1_layers.py.

* A request that is malformed or too large is answered in JSON at once; the connection stays half
  open for a moment, so
  that the client can read the answer while it is still sending.
* Interim answers (1xx) are skipped, trailers are dropped (RFC 9110, 6.5.1 allows it), heads are
  bounded.
* An addon may answer in `requestheaders`; the body is then never read.
* An event stream that breaks ends with the event that the record addon left in
  `FlowState.last_words`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Generator
from typing import Any

import h11
from h11._readers import ContentLengthReader
from h11._receivebuffer import ReceiveBuffer
from mitmproxy import flow
from mitmproxy.connection import ConnectionState
from mitmproxy.http import Headers, Request
from mitmproxy.net.http import http1
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http
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
from mitmproxy.proxy.layers.http._hooks import HttpErrorHook, HttpResponseHook
from mitmproxy.proxy.mode_specs import ReverseMode

from interceptor.exchange.flow_state import state_of
from interceptor.mitm import error_page
from interceptor.mitm.chunked_body import BoundedChunkedReader
from interceptor.mitm.deadlines import BODY_TIMEOUT_S, DEADLINES, HEAD_TIMEOUT_S, LINGER_S
from interceptor.mitm.request_head import (
    MAX_TARGET_BYTES,
    Head,
    HeadRefused,
    blank_lines,
    check_unfinished,
    read_head,
)
from interceptor.mitm.response_head import MAX_INFORMATIONAL, BadAnswer, end_of_head, split_head
from interceptor.mitm.stream_shortcut import StreamLane, lane_of
from providers.wire.detect import family_of

Commands = Generator[commands.Command, Any, None]

MAX_PIPELINED_BYTES = 1024 * 1024
"""What a client may send ahead while its request is being answered."""
MAX_HELD_ANSWER_BYTES = 64 * 1024 * 1024
"""Of an answer that is not streamed, such as an error."""


def install() -> None:
    """Use these layers in this process."""
    names: Any = http  # mitmproxy looks its own classes up by these names
    names.Http1Server, names.Http1Client, names.HttpStream = (
        LimitedServer,
        LimitedClient,
        LimitedStream,
    )
    _http1.make_body_reader = make_body_reader


def make_body_reader(expected_size: int | None) -> Any:
    """The reader for a body of this size; None means chunked, -1 until the connection ends."""
    return BoundedChunkedReader() if expected_size is None else _make_body_reader(expected_size)


_make_body_reader = _http1.make_body_reader


class LimitedServer(_http1.Http1Server):
    """The side that talks to the client."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._scanned = 0

    def _handle_event(self, event: events.Event) -> Commands:
        """Hand a large body's pieces on as they are: through the buffer they would be copied three
        times.
        """
        if isinstance(event, events.DataReceived) and not self.buf and self.state == self.read_body:
            reader = self.body_reader
            if isinstance(reader, ContentLengthReader) and 0 < len(event.data) <= reader._remaining:
                reader._remaining -= len(event.data)
                yield ReceiveHttp(RequestData(self.stream_id, event.data))
                event = events.DataReceived(event.connection, b"")
        yield from super()._handle_event(event)

    def send(self, event: HttpEvent) -> Commands:
        """Write a part of the answer."""
        if isinstance(event, ResponseProtocolError):
            yield from self._send_error(event)
            return
        if isinstance(event, ResponseData) and self.request and self.request.method == "HEAD":
            return
        yield from super().send(event)
        if isinstance(event, ResponseHeaders) and event.response.status_code == 100:
            self.response = None  # the answer proper is still to come, and may be an error
        if (
            isinstance(event, ResponseEndOfMessage)
            and self.response_done
            and self.state == self.read_body
        ):
            yield from self._linger()

    def _send_error(self, event: ResponseProtocolError) -> Commands:
        if not self.conn.state & ConnectionState.CAN_WRITE:
            return
        status = event.code.http_status_code()
        if not self.response and status is not None:
            yield commands.SendData(self.conn, _http1.make_error_response(status, event.message))
            if not self.request_done:
                yield from self._linger()
                return
        yield commands.CloseConnection(self.conn)

    def read_headers(self, event: events.ConnectionEvent) -> Commands:
        """Wait for a complete head and check it."""
        if isinstance(event, events.ConnectionClosed):
            yield commands.CloseConnection(self.conn)
            return
        try:
            head = self._take_head()
        except HeadRefused as exc:
            yield from self._refuse(exc.status_code, exc.message)
            return
        if head is None:
            return
        DEADLINES.clear(self.conn.id)
        self.request = _request(head)
        yield ReceiveHttp(RequestHeaders(self.stream_id, self.request, head.size_bytes == 0))
        self.body_reader = make_body_reader(head.size_bytes)
        self.state = self.read_body
        yield from self.state(event)

    def _take_head(self) -> Head | None:
        self.buf.maybe_extract_at_most(blank_lines(self.buf._data))
        data = self.buf._data
        end = data.find(b"\r\n\r\n", max(0, self._scanned - 3))
        if end < 0:
            check_unfinished(data, max(0, self._scanned - 1))
            self._scanned = len(data)
            if data:
                DEADLINES.set_first(self.conn.id, HEAD_TIMEOUT_S)
            return None
        self._scanned = 0
        head = read_head(data[:end])
        self.buf.maybe_extract_at_most(end + 4)
        return head

    def read_body(self, event: events.Event) -> Commands:
        """Hand the body on piece by piece."""
        while self.state == self.read_body:
            try:
                part = (
                    self.body_reader(self.buf)
                    if isinstance(event, events.DataReceived)
                    else _at_eof(self)
                )
            except h11.ProtocolError:
                yield from self._body_failed(event)
                return
            if part is None:
                if _is_reverse(self.context):
                    DEADLINES.set(self.conn.id, BODY_TIMEOUT_S)
                return
            if isinstance(part, h11.Data):
                if part.data:
                    yield ReceiveHttp(RequestData(self.stream_id, bytes(part.data)))
                continue
            DEADLINES.clear(self.conn.id)
            yield ReceiveHttp(RequestEndOfMessage(self.stream_id))
            yield from self.mark_done(request=True)
            return

    def _body_failed(self, event: events.Event) -> Commands:
        stream_id, message = self.stream_id, "The framing of the request's body is malformed."
        if isinstance(event, events.DataReceived):
            yield from self._refuse(400, message)
        else:
            message = "The client closed the connection before its request was complete."
            yield commands.CloseConnection(self.conn)
        yield ReceiveHttp(RequestProtocolError(stream_id, message, ErrorCode.GENERIC_CLIENT_ERROR))

    def wait(self, event: events.Event) -> Commands:
        """The answer is under way: the client may send a little ahead, or go away."""
        if isinstance(event, events.DataReceived) and len(self.buf) > MAX_PIPELINED_BYTES:
            event = events.ConnectionClosed(self.conn)
        yield from super().wait(event)

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
        """Write nothing more and read without keeping: a close at once would take the answer from
        the client.
        """
        self.state = self._lingering
        self.buf = ReceiveBuffer()
        DEADLINES.set(self.conn.id, LINGER_S)
        yield commands.CloseTcpConnection(self.conn, half_close=True)

    def _lingering(self, event: events.Event) -> Commands:
        self.buf = ReceiveBuffer()
        if isinstance(event, events.ConnectionClosed):
            yield commands.CloseConnection(self.conn)


class LimitedClient(_http1.Http1Client):
    """The side that talks to the provider."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._scanned = 0
        self._informational = 0
        self._lane: StreamLane | None = None

    def read_headers(self, event: events.ConnectionEvent) -> Commands:
        """Wait for the final answer's head and check it."""
        if isinstance(event, events.ConnectionClosed):
            where = "in the middle of the head of its answer" if self.buf else "without an answer"
            yield from self._fail(f"it closed the connection {where}")
            return
        if self.request is None or self.stream_id is None:
            yield commands.CloseConnection(self.conn)  # data that nobody asked for
            return
        try:
            head = self._take_final_head()
            if head is None:
                return
            self.response = http1.read_response_head(head)
            size = http1.expected_http_body_size(self.request, self.response)
        except BadAnswer as exc:
            yield from self._fail(str(exc))
            return
        except ValueError:
            yield from self._fail("the head of its answer is malformed")
            return
        self._informational = 0
        self._lane = None
        yield ReceiveHttp(ResponseHeaders(self.stream_id, self.response, size == 0))
        self.body_reader = make_body_reader(size)
        self.state = self.read_body
        yield from self.state(event)

    def _take_final_head(self) -> list[bytes] | None:
        while self.buf:
            end = end_of_head(self.buf._data, self._scanned)
            if end is None:
                self._scanned = len(self.buf)
                return None
            self._scanned = 0
            lines = split_head(self.buf.maybe_extract_at_most(end) or b"")
            if lines[0][9:10] != b"1" or (lines[0][9:12] == b"101" and self._asked_for_upgrade()):
                return lines
            self._informational += 1
            if lines[0][9:12] == b"101" or self._informational > MAX_INFORMATIONAL:
                raise BadAnswer("it sent interim answers without end")
        return None

    def _asked_for_upgrade(self) -> bool:
        return self.request is not None and "upgrade" in self.request.headers

    def read_body(self, event: events.Event) -> Commands:
        """Hand the body on piece by piece."""
        while self.state == self.read_body and self.stream_id is not None:
            try:
                part = (
                    self.body_reader(self.buf)
                    if isinstance(event, events.DataReceived)
                    else _at_eof(self)
                )
            except h11.ProtocolError:
                closed = not isinstance(event, events.DataReceived)
                yield from self._fail(
                    "it closed the connection in the middle of its answer"
                    if closed
                    else "its answer's framing is broken"
                )
                return
            if part is None:
                return
            if isinstance(part, h11.Data):
                if part.data:
                    yield from self._pass_on(bytes(part.data))
                continue
            self._lane = None
            yield ReceiveHttp(ResponseEndOfMessage(self.stream_id))
            yield from self.mark_done(response=True)
            return

    def _pass_on(self, data: bytes) -> Commands:
        """Give a piece of the answer to its stream, or at once to the client when nothing else
        would come of that.
        """
        self._lane = self._lane or lane_of(self)
        sent = self._lane.pass_on(data) if self._lane is not None else None
        if sent is None:
            assert self.stream_id is not None  # noqa: S101  # narrowed by the caller
            yield ReceiveHttp(ResponseData(self.stream_id, data))
        elif sent:
            yield commands.SendData(self.context.client, sent)

    def _fail(self, message: str) -> Commands:
        if self.conn.state is not ConnectionState.CLOSED:
            yield commands.CloseConnection(self.conn)
        self.state = self.done
        if self.stream_id is not None:
            yield ReceiveHttp(
                ResponseProtocolError(self.stream_id, message, ErrorCode.GENERIC_SERVER_ERROR)
            )


def _request(head: Head) -> Request:
    headers = Headers()
    headers.fields = head.fields
    return Request(
        host="",
        port=0,
        method=head.method,
        scheme=b"",
        authority=b"",
        path=head.target,
        http_version=head.version,
        headers=headers,
        content=None,
        trailers=None,
        timestamp_start=time.time(),
        timestamp_end=None,
    )


def _is_reverse(context: Context) -> bool:
    """False for what was captured on its way to somebody else, who has rules of their own."""
    return isinstance(context.client.proxy_mode, ReverseMode)


def _at_eof(connection: _http1.Http1Connection) -> h11.Data | h11.EndOfMessage | None:
    return connection.body_reader.read_eof()


def _ended(_: events.Event) -> Commands:
    """What a stream does with an event when it is over: nothing."""
    yield from ()


class LimitedStream(http.HttpStream):
    """One request and its answer."""

    def check_killed(self, emit_error_hook: bool) -> Generator[commands.Command, Any, bool]:
        """True when the stream ended: killed, or answered by an addon before its body was read."""
        if (yield from super().check_killed(emit_error_hook)):
            return True
        at_headers = self.client_state == self.state_wait_for_request_headers
        if emit_error_hook and at_headers and self.flow.response is not None:
            yield from self._answer_early()
            return True
        return False

    def _answer_early(self) -> Commands:
        response = self.flow.response
        if response is None:
            return
        response.timestamp_start = response.timestamp_end = time.time()
        if self.flow.request.is_http10 or self.flow.request.is_http11:
            response.headers["connection"] = "close"
        yield HttpResponseHook(self.flow)
        content = response.raw_content
        yield http.SendHttp(
            ResponseHeaders(self.stream_id, response, not content), self.context.client
        )
        if content:
            yield http.SendHttp(ResponseData(self.stream_id, content), self.context.client)
        yield http.SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)
        self.flow.live = False
        self.client_state = self.server_state = self.state_errored
        yield http.DropStream(self.stream_id)

    def flow_done(self) -> Commands:
        """Let go of everything: a stream refers to itself, and ninety objects with it waited for
        the collector.
        """
        yield from super().flow_done()
        if self.flow.response is not None and self.flow.response.status_code != 101:
            self.context.layers.clear()
            self.client_state = self.server_state = _ended

    def check_body_size(self, request: bool) -> Generator[commands.Command, Any, bool]:
        """Requests: mitmproxy's own limit. Answers: streams have none, what is held has."""
        if (
            request
            and self.client_state == self.state_wait_for_request_headers
            and not _is_reverse(self.context)
        ):
            return False  # the body of a captured request is not held
        if request:
            return (yield from super().check_body_size(True))
        if len(self.response_body_buf) <= MAX_HELD_ANSWER_BYTES:
            return False
        self.response_body_buf.clear()
        text, code = "its answer is too large to be held", ErrorCode.RESPONSE_TOO_LARGE
        yield http.SendHttp(RequestProtocolError(self.stream_id, text, code), self.context.server)
        yield from self.handle_protocol_error(ResponseProtocolError(self.stream_id, text, code))
        return True

    def handle_protocol_error(
        self, event: RequestProtocolError | ResponseProtocolError
    ) -> Commands:
        """End the flow; an event stream gets a last event and a clean end."""
        broke_midway = (
            isinstance(event, ResponseProtocolError)
            and self.server_state == self.state_stream_response_body
        )
        if not broke_midway or self.client_state == self.state_errored:
            yield from super().handle_protocol_error(event)
            return
        self.flow.error = flow.Error(event.message)
        yield HttpErrorHook(self.flow)
        if (yield from self.check_killed(False)):
            return
        state = state_of(self.flow)
        self.server_state = self.state_errored
        if state is not None and state.last_words:
            yield http.SendHttp(ResponseData(self.stream_id, state.last_words), self.context.client)
            yield http.SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)
        else:
            yield http.SendHttp(event, self.context.client)
        self.flow.live = False
        yield http.DropStream(self.stream_id)
