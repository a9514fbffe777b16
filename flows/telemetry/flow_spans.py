"""Spans of a finished flow: one for the flow, and one below it for each part with a known time.

ccproxy.inbound.POST api.anthropic.com       the flow
├─ ccproxy.hook extract_session_id           each hook that ran or failed
├─ ccproxy.credential                        the hook that takes the provider's credential
├─ ccproxy.translation                       the translation into the provider's format
└─ ccproxy.upstream                          from the last hook to the end of the response
   └─ ccproxy.attempt 2                      each time the request was sent, if not once
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from flows.record import AttemptRecord, FlowRecord, HookStep
from flows.telemetry import conventions as names
from flows.telemetry.finished_flow import FinishedFlow
from flows.telemetry.flow_attributes import (
    FlowAttributes,
    address_of,
    is_failed,
    known,
)
from flows.telemetry.otlp_span import (
    CLIENT,
    ERROR,
    SERVER,
    Span,
    SpanEvent,
    Value,
    encode_attributes,
)
from flows.telemetry.trace_context import UPSTREAM, TraceContext, context_of, span_id_of

MAX_CHILDREN: Final = 64
MAX_MESSAGE_CHARS: Final = 200
_CREDENTIAL_HOOK: Final = "inject_auth"
_TRANSLATION_STAGE: Final = "transform"


def spans_of(flow: FinishedFlow, attributes: FlowAttributes) -> list[Span]:
    """Return the spans of a finished flow; none when the client's trace is not sampled."""
    record = flow.record
    context = context_of(record)
    if not context.is_sampled:
        return []
    root = _flow_span(flow, attributes, context)
    spans = [root]
    for number, step in enumerate(record.hooks):
        if step.outcome != "skipped" and len(spans) < MAX_CHILDREN:
            spans.append(_hook_span(flow, root, number, step))
    if upstream := _upstream_span(flow, root):
        spans.append(upstream)
        for attempt in record.attempts[:MAX_CHILDREN]:
            spans.append(_attempt_span(flow, upstream, attempt))
    return spans


def _flow_span(flow: FinishedFlow, attributes: FlowAttributes, context: TraceContext) -> Span:
    record, row = flow.record, flow.row
    shared = attributes.shared(row)
    host = row.host or address_of(row.client_url).host
    span = Span(
        name=f"ccproxy.{names.INBOUND}.{row.method} {host}",
        trace_id=context.trace_id,
        span_id=span_id_of(record.id),
        start_ns=_ns(record.started_at),
        end_ns=_end_ns(record),
        # A call of a model is the client's, as the GenAI conventions want it.
        kind=CLIENT if shared.operation else SERVER,
        parent_id=context.parent_id,
        is_remote_parent=bool(context.parent_id),
        trace_state=context.state,
        encoded_attributes=shared.encoded,
        attributes=attributes.own(flow, shared.operation),
        events=_events(record),
    )
    if is_failed(row):
        span.status = ERROR
        span.status_message = _status_message(flow)
    return span


def _status_message(flow: FinishedFlow) -> str:
    status = flow.row.status_code
    if status is not None and status >= 400:
        return f"HTTP {status}"
    return flow.row.error[:MAX_MESSAGE_CHARS]


def _events(record: FlowRecord) -> tuple[SpanEvent, ...]:
    found: list[SpanEvent] = []
    for name, at_ms in (
        (names.FIRST_BYTE, record.first_byte_ms),
        (names.FIRST_TOKEN, record.first_event_ms),
    ):
        if at_ms is not None:
            found.append(SpanEvent(name, _at_ns(record, at_ms)))
    return tuple(found)


def _child(root: Span, name: str, part: str, start_ns: int, end_ns: int, flow_id: str) -> Span:
    return Span(
        name=name,
        trace_id=root.trace_id,
        span_id=span_id_of(flow_id, part),
        start_ns=start_ns,
        end_ns=max(start_ns, end_ns),
        parent_id=root.span_id,
    )


def _hook_span(flow: FinishedFlow, root: Span, number: int, step: HookStep) -> Span:
    record = flow.record
    hook = flow.redact(step.hook)
    span = _child(
        root,
        _step_name(step, hook),
        f"step {number}",
        _at_ns(record, step.started_ms),
        _at_ns(record, _end_ms(step)),
        record.id,
    )
    changed = tuple(map(flow.redact, step.changed))
    reason = flow.redact(step.reason) if step.reason else ""
    span.encoded_attributes = _hook_attributes(hook, str(step.stage), step.outcome, changed, reason)
    if step.outcome == "error":
        span.status = ERROR
        span.status_message = reason[:MAX_MESSAGE_CHARS]
    return span


@lru_cache(maxsize=1024)
def _hook_attributes(
    hook: str, stage: str, outcome: str, changed: tuple[str, ...], reason: str
) -> bytes:
    values: dict[str, Value | None] = {
        names.HOOK_NAME: hook,
        names.HOOK_STAGE: stage,
        names.HOOK_OUTCOME: outcome,
        names.HOOK_CHANGED: changed,
        names.HOOK_REASON: reason,
    }
    return encode_attributes(known(values))


def _step_name(step: HookStep, hook: str) -> str:
    if step.hook == _CREDENTIAL_HOOK:
        return names.SPAN_CREDENTIAL
    if step.stage == _TRANSLATION_STAGE:
        return names.SPAN_TRANSLATION
    return f"{names.SPAN_HOOK} {hook}"


def _end_ms(step: HookStep) -> float:
    return step.started_ms + step.prepare_ms + step.apply_ms


def _upstream_span(flow: FinishedFlow, root: Span) -> Span | None:
    """Return the span of the provider's part; None when nothing left the proxy.

    The record has no time of sending. The proxy sends when its last hook has ended.
    """
    record, row = flow.record, flow.row
    if not row.forwarded_url:
        return None
    start_ms = max((_end_ms(step) for step in record.hooks), default=0.0)
    if record.attempts:
        start_ms = record.attempts[0].started_at_ms
    if record.first_byte_ms is not None:
        # A hook of a replay runs after the first response.
        start_ms = min(start_ms, record.first_byte_ms)
    start_ns = min(_at_ns(record, start_ms), root.end_ns)
    span = _child(root, names.SPAN_UPSTREAM, UPSTREAM, start_ns, root.end_ns, record.id)
    server = address_of(row.forwarded_url)
    span.kind = CLIENT
    span.attributes = known(
        {
            names.HTTP_METHOD: row.method,
            names.URL_FULL: row.forwarded_url,
            names.SERVER_ADDRESS: server.host,
            names.SERVER_PORT: server.port or None,
            names.HTTP_STATUS: _upstream_status(record),
            names.CONNECT_MS: record.connect_ms,
        }
    )
    if root.status == ERROR:
        span.status, span.status_message = ERROR, root.status_message
    return span


def _upstream_status(record: FlowRecord) -> int | None:
    for side in record.sides:
        if side.side == "upstream":
            return side.status_code
    return None


def _attempt_span(flow: FinishedFlow, upstream: Span, attempt: AttemptRecord) -> Span:
    record = flow.record
    start_ns = _at_ns(record, attempt.started_at_ms)
    end_ns = upstream.end_ns
    if attempt.duration_ms is not None:
        end_ns = _at_ns(record, attempt.started_at_ms + attempt.duration_ms)
    name = f"{names.SPAN_ATTEMPT} {attempt.number}"
    span = _child(upstream, name, name, start_ns, end_ns, record.id)
    span.kind = CLIENT
    span.attributes = known(
        {
            names.ATTEMPT_NUMBER: attempt.number,
            names.HTTP_RESEND_COUNT: attempt.number - 1 or None,
            names.ATTEMPT_REASON: flow.redact(attempt.reason),
            names.ATTEMPT_WAIT_MS: attempt.wait_ms or None,
            names.ATTEMPT_FAILURE: attempt.failure,
            names.HTTP_STATUS: attempt.status_code,
            names.SERVER_ADDRESS: flow.redact(attempt.host),
            names.PROVIDER: attempt.provider,
            names.REQUEST_MODEL: flow.redact(attempt.model),
            names.HTTP_REQUEST_SIZE: attempt.sent_bytes or None,
            names.HTTP_RESPONSE_SIZE: attempt.received_bytes or None,
        }
    )
    if attempt.failure or (attempt.status_code or 0) >= 400:
        span.status = ERROR
        span.attributes[names.ERROR_TYPE] = attempt.failure or str(attempt.status_code)
    return span


def _ns(seconds: float) -> int:
    return round(seconds * 1e6) * 1000


def _at_ns(record: FlowRecord, at_ms: float) -> int:
    return _ns(record.started_at) + round(at_ms * 1e6)


def _end_ns(record: FlowRecord) -> int:
    start_ns = _ns(record.started_at)
    if record.duration_ms is not None:
        return start_ns + round(record.duration_ms * 1e6)
    return start_ns if record.finished_at is None else max(start_ns, _ns(record.finished_at))
