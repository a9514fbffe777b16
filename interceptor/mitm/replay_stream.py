"""Stream that holds responses back and sends its request again.

mitmproxy has no event between the head of a response and the addons that see it. This stream holds
a response that `attempts.hold` asked for, calls the event `held`, and then either lets the response
pass or sends the request again: at once or after a wait, as it was or with another body, headers
and target. The response to the next attempt takes the ordinary way: every addon sees it, and a
stream streams.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from mitmproxy import http
from mitmproxy.connection import Server
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers.http import _http2
from mitmproxy.proxy.layers.http._events import (
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestTrailers,
    ResponseData,
    ResponseEndOfMessage,
)

from interceptor.mitm.attempts import Attempts, SendAgain, Target, attempts_of
from interceptor.mitm.http_stream import LimitedStream

Commands = Generator[commands.Command, Any, None]


@dataclass
class HeldHook(commands.StartHook):
    """A response is held; `flow.response` is not set, see `attempts_of(flow).held`."""

    flow: http.HTTPFlow


class ReplayStream(LimitedStream):
    """One request, its response, and the attempts before it."""

    def state_wait_for_response_headers(self, event: Any) -> Commands:
        """Hold a response that an addon asked for; forward all others."""
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
        elif isinstance(event, ResponseEndOfMessage):
            attempts.is_waiting = True
            yield HeldHook(self.flow)
            # The client may have gone while the addons decided.
            if (yield from self.check_killed(True)):
                return
            if attempts.decision is None:
                yield from self._let_pass()
            else:
                yield from self._wait(attempts.decision.wait_s)

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
        attempts.end(attempts.end_holding().response.status_code)
        self._forget_http2_stream()
        if decision.target is not None:
            self._aim_at(decision.target)
        _rewrite(request, decision)
        attempts.begin(decision, request.data.host)
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
        request, before = self.flow.request, self.flow.server_conn
        request.scheme = target.scheme
        request.data.host, request.data.port = target.host, target.port
        request.data.authority = b""
        # Until the new connection is open, nobody may take the old one for the flow's own: the
        # timeouts addon would close it in vain.
        self.flow.server_conn = Server(address=(target.host, target.port))
        self.flow.server_conn.via = before.via

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
