"""Responses of the proxy's own, in the client's wire format."""

from __future__ import annotations

from mitmproxy.http import Headers, HTTPFlow, Response

from interceptor.exchange.flow_state import FlowState
from interceptor.exchange.refusal_table import Kind
from providers.base.names import WireFormatName
from providers.wire.errors import error_body

FLOW_HEADER = "x-ccproxy-flow"


def answer_error(flow: HTTPFlow, state: FlowState, kind: Kind, message: str) -> None:
    """End the flow with an error that the client's SDK understands; `message` names the fix."""
    state.refuse(kind, message)
    deliver(flow, state)


def deliver(flow: HTTPFlow, state: FlowState) -> None:
    """Give the client the response that a step of the request path has set, if one has."""
    answer = state.answer
    if answer is None:
        return
    flow.response = json_response(answer.status_code, answer.body, flow.id)
    for name, value in answer.headers:
        flow.response.headers[name] = value
    if answer.status_code == 204:
        # RFC 9110, 8.6: no Content-Length.
        for name in ("content-length", "content-type"):
            flow.response.headers.pop(name, None)


def error_response(
    family: WireFormatName | None, status_code: int, message: str, flow_id: str
) -> Response:
    """Return an error response in a wire format."""
    return json_response(status_code, error_body(family, status_code, message), flow_id)


def json_response(status_code: int, body: bytes, flow_id: str) -> Response:
    """Return a JSON response with the flow's id."""
    headers = Headers(
        [(b"content-type", b"application/json"), (FLOW_HEADER.encode(), flow_id.encode())],
    )
    return Response.make(status_code, body, headers)
