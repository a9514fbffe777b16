"""Stream that holds responses back and sends its request again.

mitmproxy has no event between the head of a response and the addons that see it. This stream holds
a response that `attempts.hold` asked for, calls the event `held`, and then either lets the response
pass or sends the request again: at once or after a wait, as it was or with another body, headers
and target. It holds a connection that fails before a response begins likewise. The response to the
next attempt takes the ordinary way: every addon sees it, and a stream streams.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from mitmproxy import flow, http
from mitmproxy.connection import Server
from mitmproxy.net.http import status_codes as http_status
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers.http import _http2
from mitmproxy.proxy.layers.http._events import (
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    RequestTrailers,
    ResponseData,
    ResponseEndOfMessage,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._hooks import HttpErrorHook

from interceptor.exchange.flow_state import state_of
from interceptor.mitm.attempts import Attempts, SendAgain, Target, attempts_of
from interceptor.mitm.http_stream import LimitedStream
from providers.retry_policy import CONNECT, TIMEOUT

Commands = Generator[commands.Command, Any, None]


@dataclass
class HeldHook(commands.StartHook):
    """A response is held; `flow.response` is not set, see `attempts_of(flow).held`."""

    flow: http.HTTPFlow


class ReplayStream(LimitedStream):
    """One request, its response, and the attempts before it."""

    def state_wait_for_response_headers(self, event: Any) -> Commands:
        """Hold a response that an addon asked for; forward all others."""
        if not (yield from self.restore_response(event)):
            return
        attempts = attempts_of(self.flow)
        # The body of a streamed request was not kept and cannot be sent again.
        if attempts is None or self.flow.request.stream or not attempts.begin_holding(event):
            yield from super().state_wait_for_response_headers(event)
            return
        self.server_state = self.state_hold_response

    def state_hold_response(self, event: Any) -> Commands:
        """Collect the response to its end, so that its connection can be used again."""
        attempts = self._attempts
        held = attempts.held
        assert held is not None  # noqa: S101  # set in the state before
        held.events.append(event)
        if isinstance(event, ResponseData):
            held.size_bytes += len(event.data)
            if held.size_bytes > held.max_bytes:
                yield from self._let_pass()
        elif isinstance(event, ResponseEndOfMessage) and (yield from self._ask_addons()):
            yield from self._let_pass()

    def handle_protocol_error(
        self, event: RequestProtocolError | ResponseProtocolError
    ) -> Commands:
        """Hold a failure that an addon asked for; end the flow for all others."""
        if isinstance(event, RequestProtocolError) and self.server_state in (
            self.state_hold_failure,
            self.state_wait_to_send,
        ):
            yield from self._end_without_client(event)
            return
        if isinstance(event, ResponseProtocolError) and self._begin_failure(event):
            self.server_state = self.state_hold_failure
            if not (yield from self._ask_addons()):
                return
            attempts = self._attempts
            attempts.made[-1].failure = attempts.end_holding().failure
            attempts.is_waiting = False
            # mitmproxy ends a flow in this state with an error.
            self.server_state = self.state_wait_for_response_headers
        yield from super().handle_protocol_error(event)

    def _begin_failure(self, event: ResponseProtocolError) -> bool:
        """Hold a failure of the provider; False when it is to end the flow."""
        attempts = attempts_of(self.flow)
        is_stopping = self._handle_event == self._stop
        # Nothing of a response reached the client, and all of its request is kept.
        is_before_response = self.server_state in (
            self.state_wait_for_response_headers,
            self.state_hold_response,
        )
        has_request = self.client_state == self.state_done and not self.flow.request.stream
        if attempts is None or is_stopping or not is_before_response or not has_request:
            return False
        return attempts.begin_failure(event, self._failure())

    def _failure(self) -> str:
        """Return the kind of a failure; the timeouts addon closes silent connections."""
        state = state_of(self.flow)
        timed_out = state is not None and state.error_status == http_status.GATEWAY_TIMEOUT
        return TIMEOUT if timed_out else CONNECT

    def _end_without_client(self, event: RequestProtocolError) -> Commands:
        """End the flow of a client that left in a wait; the provider expects nothing."""
        self.flow.error = flow.Error(event.message)
        self.client_state = self.server_state = self.state_errored
        yield HttpErrorHook(self.flow)
        self.flow.live = False
        yield http_layers.DropStream(self.stream_id)

    def _ask_addons(self) -> Generator[commands.Command, Any, bool]:
        """Let the addons decide; wait or send again. Returns True when the result is to pass."""
        attempts = self._attempts
        attempts.is_waiting = True
        attempts.note_held()
        yield HeldHook(self.flow)
        # The client may have gone while the addons decided.
        if (yield from self.check_killed(True)):
            return False
        if attempts.decision is None:
            return True
        yield from self._wait(attempts.decision.wait_s)
        return False

    @property
    def _attempts(self) -> Attempts:
        attempts = attempts_of(self.flow)
        assert attempts is not None  # noqa: S101  # only a flow with attempts is held
        return attempts

    def _let_pass(self) -> Commands:
        """Replay the held response: everybody sees it as if it had just come."""
        attempts = self._attempts
        attempts.is_waiting = False
        head, *rest = attempts.end_holding().events
        # Past our own method, which would hold it again.
        yield from super().state_wait_for_response_headers(head)
        for event in rest:
            if self.server_state not in (self.state_errored, self.state_done):
                yield from self.server_state(event)

    def _wait(self, wait_s: float) -> Commands:
        """Send at once, or when mitmproxy's timer rings; until then the client may leave."""
        if wait_s <= 0:
            yield from self._send_again()
            return
        self.server_state = self.state_wait_to_send
        # mitmproxy's stream expects HTTP events alone; the timer's end is another kind.
        self._handle_event = self._handle_while_waiting
        yield commands.RequestWakeup(wait_s)

    def state_hold_failure(self, _: events.Event) -> Commands:
        """Ignore what comes of a connection that failed, while the addons decide."""
        yield from ()

    def state_wait_to_send(self, _: events.Event) -> Commands:
        """Ignore what the provider's connection still tells: its response is complete."""
        yield from ()

    def _handle_while_waiting(self, event: events.Event) -> Commands:
        if not isinstance(event, events.Wakeup):
            yield from super()._handle_event(event)
            return
        del self._handle_event  # the class's own again
        if self.client_state != self.state_errored:
            yield from self._send_again()

    def _send_again(self) -> Commands:
        attempts, request = self._attempts, self.flow.request
        decision = attempts.decision
        assert decision is not None  # noqa: S101  # the caller looked
        attempts.decision = None
        attempts.end(attempts.end_holding())
        self._forget_http2_stream()
        self._forget_connection_errors()
        if decision.target is not None:
            self._aim_at(decision.target)
        _rewrite(request, decision)
        attempts.begin(decision, self.flow)
        attempts.is_waiting = False
        self.server_state = self.state_wait_for_response_headers
        if not (yield from self.make_server_connection()):
            return
        server = self.context.server
        content = request.raw_content
        is_head_alone = not (content or request.trailers)
        yield http_layers.SendHttp(RequestHeaders(self.stream_id, request, is_head_alone), server)
        if content:
            yield http_layers.SendHttp(RequestData(self.stream_id, content), server)
        if request.trailers:
            yield http_layers.SendHttp(RequestTrailers(self.stream_id, request.trailers), server)
        yield http_layers.SendHttp(RequestEndOfMessage(self.stream_id), server)

    def _aim_at(self, target: Target) -> None:
        """Point the request elsewhere, without touching its headers."""
        request = self.flow.request
        request.scheme = target.scheme
        request.data.host, request.data.port = target.host, target.port
        if target.path is not None:
            request.path = target.path
        request.data.authority = target.authority
        # Until the new connection is open, nobody may take the old one for the flow's own: the
        # timeouts addon would close it in vain.
        self.flow.server_conn = Server(address=(target.host, target.port))
        self.flow.server_conn.via = target.via

    def _forget_connection_errors(self) -> None:
        """Have mitmproxy open a new connection.

        It answers every further request for a connection that failed with the error of the first.
        """
        parent = self.context.layers[self.context.layers.index(self) - 1]
        if isinstance(parent, http_layers.HttpLayer):
            for connection in parent.connections:
                if connection is not self.context.client and not connection.connected:
                    connection.error = None

    def _forget_http2_stream(self) -> None:
        """Have the next request get a new stream of the provider's HTTP/2 connection.

        The connection maps our stream to one of its own, which the held response has ended
        (RFC 9113, 5.1: a closed stream cannot be used again).
        """
        parent = self.context.layers[self.context.layers.index(self) - 1]
        if not isinstance(parent, http_layers.HttpLayer):
            return
        connection = parent.connections.get(self.context.server)
        if connection is None:
            return
        handler = connection.context.layers[-1]
        if isinstance(handler, _http2.Http2Client):
            handler.our_stream_id.pop(self.stream_id, None)


def _rewrite(request: http.Request, decision: SendAgain) -> None:
    """Put the decision's headers and body into the request."""
    if decision.headers is not None:
        request.headers.fields = decision.headers
    if decision.body is None:
        return
    request.raw_content = decision.body
    # A chunked body carries its own length (RFC 9112, 6.2: never both).
    if "transfer-encoding" not in request.headers:
        request.headers["content-length"] = str(len(decision.body))
