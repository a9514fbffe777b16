"""Errors that mitmproxy itself answers (no connection, broken framing): JSON in the caller's format, one sentence long.

mitmproxy writes an HTML page that may repeat megabytes of what the upstream sent. Its two page makers are replaced by
ours; the `error` event, which runs in the same task just before, says who the caller is.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from mitmproxy.net.http import http1
from mitmproxy.proxy.layers.http import _http1, _http2

from interceptor.answer import error_response
from providers.names import WireFormatName
from providers.wire.errors import error_body

if TYPE_CHECKING:
    from interceptor.pipeline.exchange import Exchange

MAX_CHARS = 400

_caller: ContextVar[tuple[WireFormatName | None, str, str] | None] = ContextVar("ccproxy_caller", default=None)


def install() -> None:
    """Replace mitmproxy's error pages for this process."""
    _http1.make_error_response = make_error_response
    _http2.format_error = format_error  # type: ignore[attr-defined]


def set_caller(family: WireFormatName | None, flow_id: str, message: str) -> None:
    """Say whom the error that follows in this task is for."""
    _caller.set((family, flow_id, message))


def make_error_response(status_code: int, message: str = "") -> bytes:
    """An HTTP/1.1 response, head and body."""
    family, flow_id, sentence = _caller.get() or (None, "", error_sentence(message, None))
    response = error_response(family, status_code, sentence, flow_id)
    if not flow_id:
        del response.headers["x-ccproxy-flow"]
    response.headers["connection"] = "close"
    return bytes(http1.assemble_response(response))


def format_error(status_code: int, message: str) -> bytes:
    """The body alone, for HTTP/2."""
    family, _, sentence = _caller.get() or (None, "", error_sentence(message, None))
    return error_body(family, status_code, sentence)


def error_sentence(message: str, ex: Exchange | None) -> str:
    """mitmproxy's message as a short sentence without control characters, naming the host that failed."""
    text = "".join(c if c.isprintable() else " " for c in message[: MAX_CHARS * 4])
    text = " ".join(text.split())[:MAX_CHARS] or "the connection broke"
    if ex is None or not ex.host or text.startswith("Client disconnected"):
        return text
    name = f"provider {ex.provider.name} at " if ex.provider else ""
    return f"ccproxy got no answer from {name}{ex.host}:{ex.port}: {text}"
