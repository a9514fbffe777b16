"""Answers the proxy gives itself, in the caller's own wire format."""

from __future__ import annotations

from mitmproxy.http import Headers, HTTPFlow, Response

from interceptor.exchange.flow_state import FlowState
from providers.base.names import WireFormatName
from providers.wire.errors import error_body

FLOW_HEADER = "x-ccproxy-flow"


def answer_error(flow: HTTPFlow, state: FlowState, status_code: int, message: str) -> None:
    """End the flow with an error that the caller's SDK understands; `message` names the fix."""
    state.error = message
    flow.response = error_response(state.family, status_code, message, flow.id)


def error_response(
    family: WireFormatName | None, status_code: int, message: str, flow_id: str
) -> Response:
    """An error response in a wire format."""
    return json_response(status_code, error_body(family, status_code, message), flow_id)


def json_response(status_code: int, body: bytes, flow_id: str) -> Response:
    """A JSON response of the proxy's own."""
    headers = Headers(
        [(b"content-type", b"application/json"), (FLOW_HEADER.encode(), flow_id.encode())],
    )
    return Response.make(status_code, body, headers)
