"""How an event stream ends whose provider broke off: with an error event in the client's own
format.
"""

from __future__ import annotations

from mitmproxy.http import HTTPFlow

from interceptor.exchange.flow_state import FlowState
from interceptor.exchange.tee import is_event_stream
from providers.wire.errors import error_event


def last_words(flow: HTTPFlow, state: FlowState) -> bytes:
    """The bytes that end the client's stream; b"" where none can be added.

    A body of a fixed length or in a content encoding cannot take them: its client sees the
    connection end early.
    """
    response, tee = flow.response, state.tee
    if (
        response is None
        or tee is None
        or not is_event_stream(response)
        or "content-length" in response.headers
    ):
        return b""
    status = state.error_status or 502
    if state.stages is not None:
        return state.stages.fail(status, state.error)
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        return b""
    event = error_event(state.client_format or state.family, status, state.error)
    return _gap(tee.delivered.body()) + event


def _gap(body: bytes) -> bytes:
    """What completes the event that was under way, so that ours begins on a line of its own."""
    if not body or body.endswith((b"\n\n", b"\r\n\r\n", b"\r\r")):
        return b""
    return b"\n" if body.endswith((b"\n", b"\r")) else b"\n\n"
