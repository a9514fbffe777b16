"""Last event of a stream whose provider broke off: an error in the client's own format."""

from __future__ import annotations

from mitmproxy.http import HTTPFlow

from interceptor.exchange.flow_state import FlowState
from interceptor.exchange.tee import is_event_stream
from providers.base.names import OPENAI_RESPONSES
from providers.wire.errors import error_event
from providers.wire.openai_responses.broken_stream import failing_end


def last_words(flow: HTTPFlow, state: FlowState) -> bytes:
    """Return the bytes that end the client's stream; b"" where none can be added.

    A body of a fixed length or in a content encoding cannot take them: its client sees the
    connection close early.
    """
    response, tee = flow.response, state.tee
    if response is None or tee is None or not is_event_stream(response):
        return b""
    if "content-length" in response.headers:
        return b""
    status = state.error_status or 502
    if state.stages is not None:
        return state.stages.fail(status, state.error)
    # Plain bytes behind compressed ones would be taken for a damaged body.
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        return b""
    body, wire_format = tee.delivered.body(), state.client_format or state.family
    if wire_format == OPENAI_RESPONSES:
        return _gap(body) + failing_end(body, status, state.error)
    return _gap(body) + error_event(wire_format, status, state.error)


def _gap(body: bytes) -> bytes:
    """Return what ends the event that was under way, so that ours is one of its own.

    The HTML standard ends an event with an empty line (9.2.5): b"data: a" → b"\\n\\n",
    b"data: a\\n" → b"\\n", b"data: a\\n\\n" → b""
    """
    if not body or body.endswith((b"\n\n", b"\r\n\r\n", b"\r\r")):
        return b""
    return b"\n" if body.endswith((b"\n", b"\r")) else b"\n\n"
