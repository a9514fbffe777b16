"""Failure that a provider reports in its response: in a stream, or with a status of success."""

from __future__ import annotations

from mitmproxy.http import HTTPFlow

from interceptor.exchange.flow_state import FlowState
from providers.wire.answer_form import failure_at_end


def note_failure(flow: HTTPFlow, state: FlowState) -> None:
    """Look for a failure at the end of the provider's response, and note it.

    This runs on the event loop, so it reads the end alone. A compressed body is read by the writer
    of the record, which decodes it anyway.
    """
    response = flow.response
    is_known = state.client_format or (state.decision and state.decision.provider_format)
    if response is None or state.error or state.upstream is None or not is_known:
        return
    if _content_encoding(state) not in ("", "identity"):
        return
    status = state.upstream.status_code or response.status_code
    failure = failure_at_end(_upstream_body(flow, state), status)
    if failure is not None:
        state.fail(failure.message)


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
