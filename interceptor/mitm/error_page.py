"""JSON bodies for the errors that mitmproxy itself answers, in the client's wire format.

mitmproxy writes an HTML page that may repeat megabytes of what the provider sent. Two functions of
this module take the place of those that make it. The `error` event, which runs in the same task
just before, tells them who the client is (`set_caller`).
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

from mitmproxy.http import Response
from mitmproxy.net.http import http1

from interceptor.access.cors import origin_headers
from interceptor.exchange.own_answer import error_response
from providers.base.names import WireFormatName
from providers.wire.errors import error_body

if TYPE_CHECKING:
    from interceptor.pipeline.exchange import Exchange

MAX_CHARS = 400
_TOO_LARGE = "Request body exceeds"
_SUBJECT = "it "
"""Begins the messages of our own layers, which do not know the provider's name."""

# What mitmproxy quotes of the other side's bytes, to the message's end: `… b'\x00\x01…`
_QUOTED_BYTES = re.compile(r"\b(?:b|bytearray\(b)['\"].*", re.DOTALL)


class _Caller(NamedTuple):
    """Whom an error is for; `status_code` 0 leaves mitmproxy's."""

    family: WireFormatName | None
    flow_id: str
    message: str
    status_code: int
    cors_origin: str = ""


_caller: ContextVar[_Caller | None] = ContextVar("ccproxy_caller", default=None)


def set_caller(
    family: WireFormatName | None,
    flow_id: str,
    message: str,
    status_code: int = 0,
    cors_origin: str = "",
) -> None:
    """Name the client of the error that follows in this task; a status replaces mitmproxy's.

    A listed origin may read it, over HTTP/1.1.
    """
    _caller.set(_Caller(family, flow_id, message, status_code, cors_origin))


def refusal(family: WireFormatName | None, status_code: int, message: str) -> bytes:
    """Return an HTTP/1.1 response to a request that never became a flow."""
    return _assembled(error_response(family, status_code, message, ""))


def make_error_response(status_code: int, message: str = "") -> bytes:
    """Return an HTTP/1.1 response, headers and body."""
    caller = _caller.get() or _Caller(None, "", error_sentence(message, None), 0)
    status = caller.status_code or status_code
    response = error_response(caller.family, status, caller.message, caller.flow_id)
    if caller.cors_origin:
        for name, value in origin_headers(caller.cors_origin, response.headers.keys()):
            response.headers[name] = value
        response.headers["vary"] = "Origin"
    return _assembled(response)


def _assembled(response: Response) -> bytes:
    if not response.headers["x-ccproxy-flow"]:
        del response.headers["x-ccproxy-flow"]
    # RFC 9112, 9.6: the layer closes the connection behind every error.
    response.headers["connection"] = "close"
    return bytes(http1.assemble_response(response))


def format_error(status_code: int, message: str) -> bytes:
    """Return the body alone, for HTTP/2."""
    caller = _caller.get() or _Caller(None, "", error_sentence(message, None), 0)
    return error_body(caller.family, status_code, caller.message)


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
    text = _QUOTED_BYTES.sub("…", message[: MAX_CHARS * 4])
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
