"""Failure that a provider reports in a stream, on a websocket, or with a status of success."""

from __future__ import annotations

from typing import Final

from mitmproxy.http import HTTPFlow
from mitmproxy.websocket import WebSocketData, WebSocketMessage

from interceptor.exchange.flow_state import FlowState
from providers.wire.answer_form import failure_at_end, failure_in_small_message
from providers.wire.detect import side_vendor

NO_FAILURES: Final = (1000, 1001, 1005, 1006)
"""Codes of a close that says nothing of a failure: done, going away, no code, connection lost."""


def note_failure(flow: HTTPFlow, state: FlowState) -> None:
    """Look for a failure at the end of the provider's response, and note it.

    This runs on the event loop, so it reads the end alone. A compressed body is read by the writer
    of the record, which decodes it anyway.
    """
    response = flow.response
    if response is None or state.error or state.upstream is None or not speaks_wire_format(state):
        return
    if _content_encoding(state) not in ("", "identity"):
        return
    status = state.upstream.status_code or response.status_code
    failure = failure_at_end(_upstream_body(flow, state), status)
    if failure is not None:
        state.fail(failure.message)


def note_message_failure(state: FlowState, path: str, message: WebSocketMessage) -> None:
    """Note the failure that a provider reports in a message of its websocket.

    Large messages are read by the writer of the record, as compressed bodies are.
    """
    if message.from_client or not _is_conversation(state, path):
        return
    failure = failure_in_small_message(message.content)
    if failure is not None:
        state.fail(failure.message)


def note_close(state: FlowState, path: str, websocket: WebSocketData) -> None:
    """Note a failure with which a provider closes its websocket (RFC 6455, 7.4).

    Google's Live API has no other way to report one. A connection that is lost has no words.
    """
    code = websocket.close_code
    by_client = websocket.closed_by_client or code is None
    if by_client or code in NO_FAILURES or not _is_conversation(state, path):
        return
    state.fail(websocket.close_reason or f"The provider closed the websocket with code {code}.")


def _is_conversation(state: FlowState, path: str) -> bool:
    """Check for a websocket to a model: other servers' messages may say anything."""
    provider = state.decision.provider if state.decision else None
    return bool(state.client_format or provider or side_vendor(path))


def speaks_wire_format(state: FlowState) -> bool:
    """Check for a flow between a client and a model, whose wire format is known."""
    return bool(state.client_format or (state.decision and state.decision.provider_format))


def _content_encoding(state: FlowState) -> str:
    """Return the provider's content encoding; the client's response may have lost the header."""
    headers = state.upstream.headers if state.upstream else ()
    values = (value for name, value in headers if name.lower() == "content-encoding")
    return next(values, "").strip().lower()


def _upstream_body(flow: HTTPFlow, state: FlowState) -> bytes:
    if state.tee is not None:
        return state.tee.upstream.body()
    if state.upstream is not None and state.upstream.body is not None:
        return state.upstream.body
    return (flow.response.raw_content if flow.response else b"") or b""
