"""Lets an addon send a request again after a 401, before anything of that answer is seen by anyone.

mitmproxy has no place for it, so its stream is replaced by a subclass that holds a 401 back, asks
the addons (event `unauthorized`), and then either sends the request once more or lets the 401 pass
as if it had just come. The answer to the second request takes the ordinary way: every addon sees
it, and a stream streams. Written against mitmproxy 12.2; tests/interceptor/mitm/test_second_try.py
fails when its insides change.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from mitmproxy import http
from mitmproxy.proxy import commands
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

from interceptor.mitm.http1_layers import LimitedStream

MAX_HELD_BYTES = 1024 * 1024
"""A longer 401 is not held back: it passes."""

_MAY = "ccproxy_may_send_again"
_SHALL = "ccproxy_shall_send_again"

Commands = Generator[commands.Command, Any, None]


@dataclass
class UnauthorizedHook(commands.StartHook):
    """The provider answered 401; `flow.response` is not set yet."""

    flow: http.HTTPFlow


def hold_unauthorized(flow: http.HTTPFlow) -> None:
    """Ask for the event `unauthorized` if this flow is answered with 401. Once a flow."""
    flow.metadata[_MAY] = True


def send_again(flow: http.HTTPFlow) -> None:
    """To be called in the event `unauthorized`: send `flow.request` as it is now and drop the
    401.
    """
    flow.metadata[_SHALL] = True


def install() -> None:
    """Use this stream in this process; to be called after `http_limits.install`."""
    names: Any = http_layers  # mitmproxy looks its own classes up by these names
    names.HttpStream = SecondTryStream


class SecondTryStream(LimitedStream):
    """One request and its answer, with a second try."""

    _held: list[Any]
    _held_bytes: int

    def state_wait_for_response_headers(self, event: Any) -> Commands:
        """Hold a 401 back when somebody asked for it; all else as ever."""
        wanted = event.response.status_code == 401 and self.flow.metadata.pop(_MAY, False)
        if not wanted or self.flow.request.stream:
            yield from super().state_wait_for_response_headers(event)
            return
        self._held, self._held_bytes = [event], 0
        self.server_state = self.state_hold_answer

    def state_hold_answer(self, event: Any) -> Commands:
        """Collect the 401, so that its connection can be used again."""
        self._held.append(event)
        if isinstance(event, ResponseData):
            self._held_bytes += len(event.data)
            if self._held_bytes > MAX_HELD_BYTES:
                yield from self._release()
        elif isinstance(event, ResponseEndOfMessage):
            yield UnauthorizedHook(self.flow)
            if (yield from self.check_killed(True)):
                return
            if self.flow.metadata.pop(_SHALL, False):
                yield from self._send_again()
            else:
                yield from self._release()

    def _release(self) -> Commands:
        """The 401 passes: everybody sees it as if it had just come."""
        held, self._held = self._held, []
        self.server_state = self.state_wait_for_response_headers
        for event in held:
            if self.server_state not in (self.state_errored, self.state_done):
                yield from self.server_state(event)

    def _send_again(self) -> Commands:
        self._held = []
        self.server_state = self.state_wait_for_response_headers
        if not (yield from self.make_server_connection()):
            return
        self._forget_http2_stream()
        request, server = self.flow.request, self.context.server
        content = request.raw_content
        is_head_alone = not (content or request.trailers)
        yield http_layers.SendHttp(RequestHeaders(self.stream_id, request, is_head_alone), server)
        if content:
            yield http_layers.SendHttp(RequestData(self.stream_id, content), server)
        if request.trailers:
            yield http_layers.SendHttp(RequestTrailers(self.stream_id, request.trailers), server)
        yield http_layers.SendHttp(RequestEndOfMessage(self.stream_id), server)

    def _forget_http2_stream(self) -> None:
        """An HTTP/2 connection maps our stream to one of its own, which the 401 has ended."""
        parent = self.context.layers[self.context.layers.index(self) - 1]
        if isinstance(parent, http_layers.HttpLayer):
            handler = parent.connections[self.context.server].context.layers[-1]
            if isinstance(handler, _http2.Http2Client):
                handler.our_stream_id.pop(self.stream_id, None)
