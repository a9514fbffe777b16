"""JSON bodies for the errors that mitmproxy itself answers, in the client's wire format.

mitmproxy writes an HTML page that may repeat megabytes of what the provider sent. A function for
HTTP/1.1 and a layer for HTTP/2 take the place of those that make it. The `error` event, which runs
in the same task just before, tells them who the client is (`set_caller`).
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

from mitmproxy.http import HTTPFlow, Response
from mitmproxy.net.http import http1
from mitmproxy.proxy.commands import SendData
from mitmproxy.proxy.events import Event
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http._events import ResponseProtocolError
from mitmproxy.proxy.layers.http._http2 import Http2Server

from interceptor.access.cors import origin_headers
from interceptor.exchange.own_answer import FLOW_HEADER, error_response
from interceptor.mitm.attempts import ATTEMPTS_HEADER
from providers.base.names import WireFormatName

if TYPE_CHECKING:
    from interceptor.pipeline.exchange import Exchange

MAX_CHARS = 400
_TOO_LARGE = "Request body exceeds"
_STATUS_KEY = "ccproxy error page"
_SUBJECT = "it "
"""Begins the messages of our own layers, which do not know the provider's name."""

# What mitmproxy quotes of the other side's bytes, to the message's end: `… b'\x00\x01…`
_QUOTED_BYTES = re.compile(r"\b(?:b|bytearray\(b)['\"].*", re.DOTALL)
# "Received message with both … headers from server, refusing to …. Disable the … option to …"
_AMBIGUOUS = re.compile(r"Received (.+?) from (?:server|client), refusing to prevent.*", re.DOTALL)
_OF_OPERATORS = re.compile(r"mitmproxy|Disable the ")
"""Words of messages that are meant for mitmproxy's own operator."""


class _Caller(NamedTuple):
    """Whom an error is for; `status_code` 0 leaves mitmproxy's."""

    family: WireFormatName | None
    flow_id: str
    message: str
    status_code: int
    cors_origin: str = ""
    attempts: str = ""


_caller: ContextVar[_Caller | None] = ContextVar("ccproxy_caller", default=None)


def set_caller(
    family: WireFormatName | None,
    flow_id: str,
    message: str,
    status_code: int = 0,
    cors_origin: str = "",
    attempts: str = "",
) -> None:
    """Name the client of the error that follows in this task; a status replaces mitmproxy's.

    A listed origin may read it. A header names the attempts, if there were several.
    """
    _caller.set(_Caller(family, flow_id, message, status_code, cors_origin, attempts))


def refusal(family: WireFormatName | None, status_code: int, message: str) -> bytes:
    """Return an HTTP/1.1 response to a request that never became a flow."""
    response = error_response(family, status_code, message, "")
    del response.headers[FLOW_HEADER]
    return _assembled(response)


def make_error_response(status_code: int, message: str = "") -> bytes:
    """Return an HTTP/1.1 response, headers and body."""
    return _assembled(_error(status_code, message))


def expect_page(flow: HTTPFlow, status_code: int) -> None:
    """Note the status of the page that follows the next `error` event; 0 for none."""
    flow.metadata[_STATUS_KEY] = status_code


def expected_page(flow: HTTPFlow) -> Response | None:
    """Return the page that the client gets behind this `error` event, None if it gets none.

    `set_caller` has named the client.
    """
    status_code = flow.metadata.get(_STATUS_KEY)
    if not status_code:
        return None
    response = _error(status_code, flow.error.msg if flow.error else "")
    if flow.request.is_http10 or flow.request.is_http11:
        response.headers["connection"] = "close"
    return response


class JsonErrorServer(Http2Server):
    """HTTP/2 to a client, with errors as complete responses of our own.

    mitmproxy's have no header but a Content-Type of HTML.
    """

    def _handle_event(self, event: Event) -> CommandGenerator[None]:
        if not isinstance(event, ResponseProtocolError) or not self._is_unanswered(event):
            yield from super()._handle_event(event)
            return
        response = _error(event.code.http_status_code() or 0, event.message)
        body = response.raw_content or b""
        fields = [(name.lower(), value) for name, value in response.headers.fields]
        status = (b":status", b"%d" % response.status_code)
        self.h2_conn.send_headers(event.stream_id, [status, *fields])
        self.h2_conn.send_data(event.stream_id, body, end_stream=True)
        yield SendData(self.conn, self.h2_conn.data_to_send())

    def _is_unanswered(self, event: ResponseProtocolError) -> bool:
        """Return whether a response can be sent instead of a reset, as mitmproxy decides it."""
        if event.code.http_status_code() is None or not self.is_open_for_us(event.stream_id):
            return False
        return not self.h2_conn.streams[event.stream_id].state_machine.headers_sent


def _error(status_code: int, message: str) -> Response:
    """Return the response for the client that `set_caller` named."""
    caller = _caller.get() or _Caller(None, "", error_sentence(message, None), 0)
    status = caller.status_code or status_code
    response = error_response(caller.family, status, caller.message, caller.flow_id)
    if not caller.flow_id:
        del response.headers[FLOW_HEADER]
    if caller.attempts:
        response.headers[ATTEMPTS_HEADER] = caller.attempts
    if caller.cors_origin:
        for name, value in origin_headers(caller.cors_origin, response.headers.keys()):
            response.headers[name] = value
        response.headers["vary"] = "Origin"
    return response


def _assembled(response: Response) -> bytes:
    # RFC 9112, 9.6: the layer closes the connection behind every error.
    response.headers["connection"] = "close"
    return bytes(http1.assemble_response(response))


def error_sentence(message: str, ex: Exchange | None, via: str = "") -> str:
    """Return mitmproxy's message as one short printable sentence that names the host that failed.

    - "it closed the connection without a response" (our layers') →
      "provider x (api.example:443) closed the connection without a response"
    - "[Errno 111] Connect call failed" (mitmproxy's) →
      "no response from provider x (api.example:443): [Errno 111] Connect call failed"

    `via` names the company's proxy on the way.
    """
    if message.startswith(_TOO_LARGE):
        return (
            "The request's body is larger than inspector.mitmproxy.body_size_limit in ccproxy.yaml"
            " allows."
        )
    # Cut first: the message may be megabytes long, and the expression would search all of it.
    text = _for_clients(message[: MAX_CHARS * 4])
    text = _QUOTED_BYTES.sub("…", text)
    text = "".join(c if c.isprintable() else " " for c in text)
    text = " ".join(text.split())[:MAX_CHARS] or "the connection broke"
    if text.startswith("Client disconnected"):
        return text
    if ex is None or not ex.host:
        # Captured traffic: mitmproxy's own text has the address.
        return f"no response by way of {via}: {text}" if via else text
    address = f"{ex.host}:{ex.port}"
    name = f"provider {ex.provider.name} ({address})" if ex.provider else address
    if via:
        name += f" by way of {via}"
    if text.startswith(_SUBJECT):
        return f"{name} {text.removeprefix(_SUBJECT)}"
    return f"no response from {name}: {text}"


def _for_clients(message: str) -> str:
    """Return mitmproxy's message without its advice to operators.

    "Received message with both … headers from server, refusing to … attacks. Disable the …"
    → "it sent an ambiguous message: both … headers"
    """
    text = _AMBIGUOUS.sub(_ambiguous, message)
    if _OF_OPERATORS.search(text):
        return "it cannot be served here"
    return text


def _ambiguous(match: re.Match[str]) -> str:
    reason = match[1].removeprefix("message with ")
    return f"{_SUBJECT}sent an ambiguous message: {reason}"
