"""One request and its response, with limits and an understandable end.

- An addon may answer in `requestheaders`; the body is then never read.
- A response that is held in memory has a limit; a stream has none.
- An event stream that breaks ends with the event in `FlowState.last_words`.
- When the proxy stops, a client that waits for a response gets one.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

from mitmproxy import flow
from mitmproxy.http import HTTPFlow
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._hooks import HttpErrorHook, HttpResponseHook
from mitmproxy.proxy.mode_specs import ReverseMode

from interceptor.exchange.flow_state import state_of
from interceptor.mitm.error_page import expect_page
from interceptor.transport.detour import Destination, Detour

Commands = Generator[commands.Command, Any, None]

STOPPED_STATUS = 503
"""RFC 9110, 15.6.4: the same request may succeed in a moment."""
MAX_HELD_RESPONSE_BYTES = 64 * 1024 * 1024
"""Of a response that is not streamed, such as an error."""


@dataclass
class ProxyStopped(events.Event):
    """The proxy stops; each stream says so to its client and ends. `message` is for the client."""

    message: str


def is_reverse(context: Context) -> bool:
    """Return False for a captured connection: its provider has rules of its own."""
    return isinstance(context.client.proxy_mode, ReverseMode)


def detour_of(flow_: HTTPFlow) -> Detour | None:
    """Return the way through the transport, None where the request goes straight.

    A request that was aimed elsewhere since has left the way: the profile is another provider's.
    """
    state, request = state_of(flow_), flow_.request
    if state is None or state.detour is None:
        return None
    goes_to = Destination(request.scheme, request.data.host, request.data.port)
    return state.detour if state.detour.destination == goes_to else None


def _ended(_: events.Event) -> Commands:
    """Ignore an event: the stream is over."""
    yield from ()


class LimitedStream(http.HttpStream):
    """One request and its response."""

    def make_server_connection(self) -> Generator[commands.Command, Any, bool]:
        """Connect to the provider, or to the transport that leads there."""
        detour = detour_of(self.flow)
        if detour is None:
            return (yield from super().make_server_connection())
        connection, problem = yield http.GetHttpConnection(detour.address, False, None)
        if problem:
            text, code = f"it has no transport: {problem}", ErrorCode.CONNECT_FAILED
            yield from self.handle_protocol_error(ResponseProtocolError(self.stream_id, text, code))
            return False
        self.context.server = self.flow.server_conn = connection
        return True

    def restore_response(self, event: Any) -> Generator[commands.Command, Any, bool]:
        """Replace the loopback connection's headers by the provider's own.

        Returns False when the transport got no response; the flow has failed then.
        """
        detour = detour_of(self.flow)
        if detour is None or not isinstance(event, ResponseHeaders):
            return True
        head = detour.response
        if head is None:
            text = f"it {detour.failure or 'was not reached by the transport'}"
            failed = ResponseProtocolError(self.stream_id, text, ErrorCode.CONNECT_FAILED)
            yield from self.handle_protocol_error(failed)
            return False
        response = event.response
        response.http_version, response.reason = head.version, head.reason
        response.headers.fields = head.fields
        return True

    def check_killed(self, emit_error_hook: bool) -> Generator[commands.Command, Any, bool]:
        """Return True when the stream ended: killed, or answered before its body was read."""
        if (yield from super().check_killed(emit_error_hook)):
            return True
        # mitmproxy calls this right after each hook; in this state it was `requestheaders`.
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
        # The request's body may still be on its way, so the connection cannot carry another one
        # (RFC 9112, 9.6). HTTP/2 resets the stream instead.
        if self.flow.request.is_http10 or self.flow.request.is_http11:
            response.headers["connection"] = "close"
        yield HttpResponseHook(self.flow)
        content = response.raw_content
        head = ResponseHeaders(self.stream_id, response, not content)
        yield http.SendHttp(head, self.context.client)
        if content:
            yield http.SendHttp(ResponseData(self.stream_id, content), self.context.client)
        yield http.SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)
        self.flow.live = False
        self.client_state = self.server_state = self.state_errored
        yield http.DropStream(self.stream_id)

    def flow_done(self) -> Commands:
        """Let go of everything that refers to this stream.

        The stream refers to itself; ninety objects waited for the garbage collector with it.
        """
        yield from super().flow_done()
        if self.flow.response is not None and self.flow.response.status_code != 101:
            self.context.layers.clear()
            self.client_state = self.server_state = _ended

    def check_invalid(self, request: bool) -> Generator[commands.Command, Any, bool]:
        """Return True for headers that two servers may read differently."""
        expect_page(self.flow, 400 if request else 502)
        return (yield from super().check_invalid(request))

    def check_body_size(self, request: bool) -> Generator[commands.Command, Any, bool]:
        """Return True when a body exceeds its limit: mitmproxy's for requests, ours else."""
        at_headers = self.client_state == self.state_wait_for_request_headers
        if request and at_headers and not is_reverse(self.context):
            return False  # the body of a captured request is not held
        if request:
            expect_page(self.flow, 413)
            return (yield from super().check_body_size(True))
        if len(self.response_body_buf) <= MAX_HELD_RESPONSE_BYTES:
            return False
        self.response_body_buf.clear()
        text = "it sent a response too large to be held"
        code = ErrorCode.RESPONSE_TOO_LARGE
        yield http.SendHttp(RequestProtocolError(self.stream_id, text, code), self.context.server)
        yield from self.handle_protocol_error(ResponseProtocolError(self.stream_id, text, code))
        return True

    def handle_protocol_error(
        self, event: RequestProtocolError | ResponseProtocolError
    ) -> Commands:
        """End the flow; an event stream gets a last event and a clean end."""
        self._note_page(event)
        broke_midway = (
            isinstance(event, ResponseProtocolError)
            and self.server_state == self.state_stream_response_body
        )
        if not broke_midway or self.client_state == self.state_errored:
            yield from super().handle_protocol_error(event)
            return
        self.flow.error = flow.Error(event.message)
        # The record addon writes the last words in this hook.
        yield HttpErrorHook(self.flow)
        if (yield from self.check_killed(False)):
            return
        state = state_of(self.flow)
        self.server_state = self.state_errored
        if state is not None and state.last_words:
            words = ResponseData(self.stream_id, state.last_words)
            yield http.SendHttp(words, self.context.client)
            yield http.SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)
        else:
            yield http.SendHttp(event, self.context.client)
        self.flow.live = False
        yield http.DropStream(self.stream_id)

    def _note_page(self, event: RequestProtocolError | ResponseProtocolError) -> None:
        """Note the status of the page for the client, and what came of the provider's response."""
        is_told = isinstance(event, ResponseProtocolError)
        is_told = is_told and self.client_state != self.state_errored
        expect_page(self.flow, (is_told and event.code.http_status_code()) or 0)
        state = state_of(self.flow)
        if state is not None and state.upstream is not None and self.response_body_buf:
            body = bytes(self.response_body_buf)
            state.upstream = replace(state.upstream, body=body, body_size_bytes=len(body))

    @property
    def is_open(self) -> bool:
        """True while the client waits for a response, or for the rest of one."""
        if self.child_layer is not None:
            return self.flow.live
        is_over = self.server_state in (self.state_done, self.state_errored)
        return not is_over and self.client_state != self.state_errored

    def prepare_to_stop(self) -> None:
        """Stop waiting for hooks, connections and timers, so that `ProxyStopped` is handled now."""
        # A websocket's own layer handles it.
        if self.child_layer is None:
            self._paused = None
            self._paused_event_queue.clear()
            self._handle_event = self._stop

    def _stop(self, event: events.Event) -> Commands:
        """End the flow because the proxy stops; ignore whatever comes after that."""
        if not isinstance(event, ProxyStopped):
            return
        state = state_of(self.flow)
        if state is not None:
            state.error = state.error or event.message
            state.error_status = STOPPED_STATUS
        code = ErrorCode.GENERIC_SERVER_ERROR
        error = ResponseProtocolError(self.stream_id, event.message, code)
        yield from self.handle_protocol_error(error)
