"""Builder of the record that the sink gets: a flow's complete state at one moment."""

from __future__ import annotations

from dataclasses import replace
from time import time
from typing import Any, Literal

from mitmproxy.connection import Server
from mitmproxy.http import HTTPFlow, Response

from flows.reading.sse_events import count_events, looks_like_events
from flows.record import FlowRecord, Side, SideRecord
from interceptor.addons.capture.runs import origin_fields
from interceptor.exchange.flow_state import FlowState
from interceptor.exchange.provider_failure import speaks_wire_format
from interceptor.exchange.tee import Tape, is_event_stream
from interceptor.mitm.attempts import attempt_records
from interceptor.pipeline.runner import as_record


def since(state: FlowState, timestamp: float | None) -> float | None:
    """Return milliseconds from the flow's beginning to a time stamp."""
    return None if timestamp is None else max(0.0, (timestamp - state.started_at) * 1000)


def response_side(side: Side, response: Response) -> SideRecord:
    """Return a response's status line and headers as a side of the record, without its body."""
    return SideRecord(
        side=side,
        http_version=response.http_version,
        status_code=response.status_code,
        reason=response.reason,
        headers=as_record(response.headers.fields),
        trailers=as_record(response.trailers.fields) if response.trailers else (),
    )


def build_record(
    flow: HTTPFlow, state: FlowState, phase: Literal["live", "done", "error"]
) -> FlowRecord:
    """Return the record of a flow at this moment."""
    client = state.client
    answer_sides = _answer_sides(flow, state)
    is_stream, event_count = _events(flow, state, answer_sides)
    return FlowRecord(
        id=flow.id,
        state=phase,
        started_at=state.started_at,
        source=state.source,
        method=client.method if client else flow.request.method,
        host=_host(state),
        path=_path(client.url) if client else flow.request.path,
        client_url=client.url if client else "",
        user_agent=_header(client, "user-agent"),
        client_format=state.client_format or "",
        requested_model=state.requested_model,
        session_id=_session_id(state),
        conversation_id=state.conversation_id,
        question=state.question,
        tool_result=state.tool_result,
        status_code=_status_code(flow, state),
        is_stream=is_stream,
        is_websocket=flow.websocket is not None,
        error=state.error,
        event_count=event_count,
        sides=tuple(side for side in (client, state.forwarded, *answer_sides) if side),
        hooks=tuple(state.steps),
        attempts=attempt_records(flow, state.began, finished=phase != "live"),
        messages=tuple(state.messages),
        **origin_fields(state.run, state.hello),
        **_routing(state),
        **_timing(flow, state, finished=phase != "live"),
    )


def _status_code(flow: HTTPFlow, state: FlowState) -> int | None:
    """Return the client's status; None where the provider did not begin a response."""
    if flow.response is None:
        return None
    return state.page.status_code if state.page else flow.response.status_code


def _routing(state: FlowState) -> dict[str, Any]:
    """Return the fields about the flow's destination and the reason for it."""
    decision = state.decision
    provider = decision.provider if decision else None
    rule = decision.rule if decision else None
    return {
        "action": _action(state),
        "forwarded_url": state.forwarded.url if state.forwarded else "",
        "provider": provider.name if provider else "",
        "provider_type": provider.type if provider else "",
        "provider_format": (decision.provider_format or "") if decision else "",
        "rule": rule.label if rule else "",
        "rule_id": rule.id if rule else None,
        "route": decision.route if decision else state.activity,
        "revision": state.snapshot.revision,
        "sent_model": state.sent_model,
        "credential_injected": state.credential_injected,
        **_shape(state),
        "losses": tuple(state.losses),
    }


def _shape(state: FlowState) -> dict[str, str]:
    """Return the version of the shape that the request took, and what went wrong with it."""
    exchange = state.exchange
    if exchange is None or not exchange.shapes:
        return {}
    label = exchange.shaped.shape.label if exchange.shaped else ""
    return {"shape": label, "shape_problem": exchange.shape_problem}


def _timing(flow: HTTPFlow, state: FlowState, *, finished: bool) -> dict[str, Any]:
    """Return the fields about times, as far as they are known."""
    return {
        "finished_at": time() if finished else None,
        "connect_ms": _connect_ms(flow.server_conn, state),
        "first_byte_ms": state.first_byte_ms,
        "first_event_ms": state.tee.delivered.first_ms if state.tee else None,
        "duration_ms": state.ms() if finished else None,
    }


def _answer_sides(flow: HTTPFlow, state: FlowState) -> list[SideRecord]:
    """Return the sides upstream and delivered.

    An unchanged response has one body object for both. Where the provider broke before the client
    had a part of its response, the client got an error page instead, or nothing if it left.
    """
    response = flow.response
    tee = state.tee
    came = [_whole(state.upstream, b"")] if state.upstream and tee is None else []
    if state.page is not None:
        return [*came, state.page]
    if response is None:
        return []
    if came and flow.error is not None and flow.websocket is None:
        return came
    delivered = response_side("delivered", response)
    if tee is None:
        body = response.raw_content or b""
        sides = [_whole(state.upstream, body)] if state.upstream else []
        return [*sides, _whole(delivered, body)]
    delivered = _taped(delivered, tee.delivered)
    sides = [_taped(state.upstream, tee.upstream)] if state.upstream else []
    return [*sides, delivered]


def _events(flow: HTTPFlow, state: FlowState, sides: list[SideRecord]) -> tuple[bool, int]:
    """Return whether the client got a stream of events, and their number.

    Labels may be wrong, so a model's response is seen from its bytes as soon as there are some.
    """
    response = flow.response
    if response is None or state.upstream is None:
        return False, 0
    is_stream = is_event_stream(response)
    body = sides[-1].body or b""
    # The writer, which decodes them, counts the events of compressed bodies.
    encoding = str(response.headers.get("content-encoding", "")).strip().lower()
    if not body or encoding not in ("", "identity"):
        return is_stream, 0
    if speaks_wire_format(state):
        is_stream = looks_like_events(str(response.headers.get("content-type", "")), body)
    return is_stream, count_events(body) if is_stream else 0


def _whole(side: SideRecord, body: bytes) -> SideRecord:
    return side if side.body is not None else replace(side, body=body, body_size_bytes=len(body))


def _taped(side: SideRecord, tape: Tape) -> SideRecord:
    return replace(
        side,
        body=tape.body(),
        body_size_bytes=tape.size_bytes,
        body_truncated=tape.truncated,
        chunk_times=tuple(tape.times),
    )


def _connect_ms(server: Server | None, state: FlowState) -> float | None:
    """Return the time that dialling took; None when an open connection was used again."""
    if (
        server is None
        or server.timestamp_start is None
        or server.timestamp_start < state.started_at
    ):
        return None
    ready = server.timestamp_tls_setup or server.timestamp_tcp_setup
    return None if ready is None else max(0.0, (ready - server.timestamp_start) * 1000)


def _action(state: FlowState) -> str:
    if state.decision is not None:
        return state.decision.action
    return "refused" if state.error else "local"


def _host(state: FlowState) -> str:
    if state.observed is not None:
        return state.observed.host
    if state.forwarded is not None and state.exchange is not None:
        return state.exchange.host
    return ""


def _session_id(state: FlowState) -> str:
    if state.observed is not None:
        return state.observed.session_id
    return str(state.exchange.metadata.get("session_id", "")) if state.exchange else ""


def _path(url: str) -> str:
    """Return the path with query of an absolute URL."""
    _, _, rest = url.partition("://")
    slash = rest.find("/")
    return rest[slash:] if slash >= 0 else "/"


def _header(side: SideRecord | None, name: str) -> str:
    if side is None:
        return ""
    return next((value for key, value in side.headers if key.lower() == name), "")
