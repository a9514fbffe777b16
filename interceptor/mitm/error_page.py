"""Errors that mitmproxy itself answers (no connection, broken framing): JSON in the caller's
format, one sentence long.

mitmproxy writes an HTML page that may repeat megabytes of what the upstream sent. Its two page
makers are replaced by ours; the `error` event, which runs in the same task just before, says who
the caller is.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import TYPE_CHECKING

from mitmproxy.http import Response
from mitmproxy.net.http import http1
from mitmproxy.proxy.layers.http import _http1, _http2

from interceptor.exchange.own_answer import error_response
from providers.base.names import WireFormatName
from providers.wire.errors import error_body

if TYPE_CHECKING:
    from interceptor.pipeline.exchange import Exchange

MAX_CHARS = 400
_TOO_LARGE = "Request body exceeds"

_QUOTED_BYTES = re.compile(r"\b(?:b|bytearray\(b)['\"].*", re.DOTALL)
"""What mitmproxy quotes of the other side's bytes, to the message's end."""

_caller: ContextVar[tuple[WireFormatName | None, str, str, int] | None] = ContextVar(
    "ccproxy_caller", default=None
)


def install() -> None:
    """Replace mitmproxy's error pages for this process."""
    _http1.make_error_response = make_error_response
    _http2.format_error = format_error  # type: ignore[attr-defined]


def set_caller(
    family: WireFormatName | None, flow_id: str, message: str, status_code: int = 0
) -> None:
    """Say whom the error that follows in this task is for; a status replaces mitmproxy's."""
    _caller.set((family, flow_id, message, status_code))


def refusal(family: WireFormatName | None, status_code: int, message: str) -> bytes:
    """An HTTP/1.1 response to a request that never became a flow."""
    return _assembled(error_response(family, status_code, message, ""))


def make_error_response(status_code: int, message: str = "") -> bytes:
    """An HTTP/1.1 response, head and body."""
    family, flow_id, sentence, chosen = _caller.get() or (
        None,
        "",
        error_sentence(message, None),
        0,
    )
    return _assembled(error_response(family, chosen or status_code, sentence, flow_id))


def _assembled(response: Response) -> bytes:
    if not response.headers["x-ccproxy-flow"]:
        del response.headers["x-ccproxy-flow"]
    response.headers["connection"] = "close"
    return bytes(http1.assemble_response(response))


def format_error(status_code: int, message: str) -> bytes:
    """The body alone, for HTTP/2."""
    family, _, sentence, _ = _caller.get() or (None, "", error_sentence(message, None), 0)
    return error_body(family, status_code, sentence)


def error_sentence(message: str, ex: Exchange | None) -> str:
    """mitmproxy's message as a short sentence without control characters, naming the host that
    failed.
    """
    if message.startswith(_TOO_LARGE):
        return (
            "The request's body is larger than inspector.mitmproxy.body_size_limit in ccproxy.yaml"
            " allows."
        )
    text = _QUOTED_BYTES.sub("…", message[: MAX_CHARS * 4])
    text = "".join(c if c.isprintable() else " " for c in text)
    text = " ".join(text.split())[:MAX_CHARS] or "the connection broke"
    if ex is None or not ex.host or text.startswith("Client disconnected"):
        return text
    name = f"provider {ex.provider.name} at " if ex.provider else ""
    return f"ccproxy got no answer from {name}{ex.host}:{ex.port}: {text}"
