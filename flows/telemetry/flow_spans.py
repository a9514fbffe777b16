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
from operator import attrgetter
from typing import Any, Final, NamedTuple

from flows.failure import is_error_status
from flows.record import AttemptRecord, FlowRecord, HookStep
from flows.telemetry import conventions as names
from flows.telemetry.finished_flow import FinishedFlow
from flows.telemetry.flow_attributes import (
    MAX_TEXT_CHARS,
    FlowAttributes,
    SpanConf,
    address_of,
    is_failed,
)
from flows.telemetry.otlp_span import (
    CLIENT,
    ERROR,
    SERVER,
    UNSET,
    GroupForm,
    Span,
    SpanEvent,
    SpanForm,
    Value,
    encode_span,
    form_of,
)
from flows.telemetry.trace_context import (
    ATTEMPTS,
    STEPS,
    UPSTREAM,
    TraceContext,
    context_of,
    part_id_of,
    part_ids_of,
    span_id_of,
)

MAX_CHILDREN: Final = 64
MAX_MESSAGE_CHARS: Final = 200
_CREDENTIAL_HOOK: Final = "inject_auth"
_TRANSLATION_STAGE: Final = "transform"
_MAX_GROUPS: Final = 256
_step_texts: Final = attrgetter("hook", "stage", "outcome", "changed", "reason")


class EncodedSpans(NamedTuple):
    """Spans one behind the other, and their number."""

    data: bytes
    number: int


class SpanMaker:
    """Maker of the spans of flows. Not thread-safe."""

    def __init__(self, conf: SpanConf) -> None:
        self._attributes = FlowAttributes(conf)
        self._generation: object = None
        self._groups: dict[Any, GroupForm] = {}

    def spans_of(self, flow: FinishedFlow) -> EncodedSpans:
        """Return the spans of a finished flow; none when the client's trace is not sampled."""
        record = flow.record
        context = context_of(record)
        if not context.is_sampled:
            return EncodedSpans(b"", 0)
        root = _flow_span(flow, self._attributes, context)
        spans = encode_span(root)
        steps = [step for step in record.hooks if step.outcome != "skipped"][:MAX_CHILDREN]
        upstream = _upstream_of(flow, root)
        group = self._group(flow, steps, upstream)
        spans += _parts(flow, root, steps, group, has_upstream=upstream is not None)
        number = 1 + group.number
        if upstream is not None:
            for attempt in record.attempts[:MAX_CHILDREN]:
                spans += _attempt_span(flow, root, attempt)
                number += 1
        return EncodedSpans(spans, number)

    def _group(
        self, flow: FinishedFlow, steps: list[HookStep], upstream: _Upstream | None
    ) -> GroupForm:
        """Return the form of the spans of a flow's hooks and of its upstream part.

        A client's flows pass the same hooks, which do the same.
        """
        if (generation := flow.generation()) is not self._generation:
            self._generation = generation
            self._groups.clear()
        key = (tuple(map(_step_texts, steps)), upstream)
        found = self._groups.get(key)
        if found is None:
            forms, is_redacted = _step_forms(flow, steps)
            if upstream is not None:
                forms.append(_upstream_form(upstream))
            found = GroupForm(forms)
            if is_redacted:
                # A key with a secret would stay in memory.
                return found
            if len(self._groups) >= _MAX_GROUPS:
                self._groups.clear()
            self._groups[key] = found
        return found


def _flow_span(flow: FinishedFlow, attributes: FlowAttributes, context: TraceContext) -> Span:
    record, row = flow.record, flow.row
    shared = attributes.shared(row)
    span = Span(
        name=shared.name,
        trace_id=context.trace_id,
        span_id=span_id_of(record.id),
        start_ns=_ns(record.started_at),
        end_ns=_end_ns(record),
        # A call of a model is the client's, as the GenAI conventions want it.
        kind=CLIENT if shared.operation else SERVER,
        parent_id=context.parent_id,
        is_remote_parent=bool(context.parent_id),
        trace_state=context.state,
        encoded_attributes=shared.encoded + attributes.own(flow, shared.operation),
        events=_events(record),
    )
    if is_failed(row):
        span.status = ERROR
        span.status_message = _status_message(flow)
    return span


def _status_message(flow: FinishedFlow) -> str:
    status = flow.row.status_code
    if is_error_status(status):
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


def _step_forms(flow: FinishedFlow, steps: list[HookStep]) -> tuple[list[SpanForm], bool]:
    """Return the forms of the hooks' spans, and whether a text of theirs had a secret."""
    forms: list[SpanForm] = []
    is_redacted = False
    for step in steps:
        hook, reason = flow.redact(step.hook), flow.redact(step.reason)
        changed = tuple(map(flow.redact, step.changed))
        texts = (hook, step.stage, step.outcome, changed, reason)
        is_redacted |= texts != _step_texts(step)
        forms.append(_step_form(*texts))
    return forms, is_redacted


def _parts(
    flow: FinishedFlow,
    root: Span,
    steps: list[HookStep],
    group: GroupForm,
    *,
    has_upstream: bool,
) -> bytes:
    """Return the spans of a flow's hooks, and the one of its upstream part if it has one."""
    base_ns = root.start_ns
    starts: list[int] = []
    ends: list[int] = []
    for step in steps:
        start_ns = base_ns + round(step.started_ms * 1e6)
        starts.append(start_ns)
        ends.append(start_ns + round((step.prepare_ms + step.apply_ms) * 1e6))
    ids = part_ids_of(root.span_id, STEPS, len(steps))
    if has_upstream:
        starts.append(_sent_ns(flow.record, root))
        ends.append(root.end_ns)
        ids.append(part_id_of(root.span_id, UPSTREAM))
    return group.encode(root.trace_id, ids, root.span_id, starts, ends)


@lru_cache(maxsize=1024)
def _step_form(
    hook: str, stage: str, outcome: str, changed: tuple[str, ...], reason: str
) -> SpanForm:
    values: dict[str, Value | None] = {
        names.HOOK_NAME: hook,
        names.HOOK_STAGE: str(stage),
        names.HOOK_OUTCOME: outcome,
        names.HOOK_CHANGED: changed,
        names.HOOK_REASON: reason,
    }
    is_error = outcome == "error"
    return form_of(
        _step_name(hook, stage),
        values,
        status=ERROR if is_error else UNSET,
        status_message=reason[:MAX_MESSAGE_CHARS] if is_error else "",
    )


def _step_name(hook: str, stage: str) -> str:
    if hook == _CREDENTIAL_HOOK:
        return names.SPAN_CREDENTIAL
    if stage == _TRANSLATION_STAGE:
        return names.SPAN_TRANSLATION
    return f"{names.SPAN_HOOK} {hook}"


class _Upstream(NamedTuple):
    """Values of the span of the provider's part."""

    method: str
    url: str
    response_status: int | None
    status: int
    message: str


def _upstream_of(flow: FinishedFlow, root: Span) -> _Upstream | None:
    """Return the values of the span of the provider's part; None for a flow without one."""
    row = flow.row
    if not row.forwarded_url:
        return None
    response_status = _upstream_status(flow.record)
    return _Upstream(
        row.method, row.forwarded_url, response_status, root.status, root.status_message
    )


def _sent_ns(record: FlowRecord, root: Span) -> int:
    """Return when the request was sent to the provider.

    The record has no time of sending. The proxy sends when its last hook has ended.
    """
    start_ms = 0.0
    for step in record.hooks:
        start_ms = max(start_ms, step.started_ms + step.prepare_ms + step.apply_ms)
    if record.attempts:
        start_ms = record.attempts[0].started_at_ms
    if record.first_byte_ms is not None:
        # A hook of a replay runs after the first response.
        start_ms = min(start_ms, record.first_byte_ms)
    return min(root.start_ns + round(start_ms * 1e6), root.end_ns)


@lru_cache(maxsize=1024)
def _upstream_form(upstream: _Upstream) -> SpanForm:
    server = address_of(upstream.url)
    values: dict[str, Value | None] = {
        names.HTTP_METHOD: upstream.method,
        names.URL_FULL: upstream.url[:MAX_TEXT_CHARS],
        names.SERVER_ADDRESS: server.host,
        names.SERVER_PORT: server.port or None,
        names.HTTP_STATUS: upstream.response_status,
    }
    return form_of(
        names.SPAN_UPSTREAM,
        values,
        kind=CLIENT,
        status=upstream.status,
        status_message=upstream.message,
    )


def _upstream_status(record: FlowRecord) -> int | None:
    for side in record.sides:
        if side.side == "upstream":
            return side.status_code
    return None


def _attempt_span(flow: FinishedFlow, root: Span, attempt: AttemptRecord) -> bytes:
    start_ns = root.start_ns + round(attempt.started_at_ms * 1e6)
    end_ns = root.end_ns
    if attempt.duration_ms is not None:
        end_ns = start_ns + round(attempt.duration_ms * 1e6)
    span = Span(
        name=f"{names.SPAN_ATTEMPT} {attempt.number}",
        trace_id=root.trace_id,
        span_id=part_id_of(root.span_id, ATTEMPTS + attempt.number),
        parent_id=part_id_of(root.span_id, UPSTREAM),
        kind=CLIENT,
        start_ns=start_ns,
        end_ns=max(start_ns, end_ns),
    )
    span.attributes = {
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
    if attempt.failure or is_error_status(attempt.status_code):
        span.status = ERROR
        failed_as = attempt.failure or str(attempt.status_code)
        span.attributes = {**span.attributes, names.ERROR_TYPE: failed_as}
    return encode_span(span)


def _ns(seconds: float) -> int:
    return round(seconds * 1e6) * 1000


def _at_ns(record: FlowRecord, at_ms: float) -> int:
    return _ns(record.started_at) + round(at_ms * 1e6)


def _end_ns(record: FlowRecord) -> int:
    start_ns = _ns(record.started_at)
    if record.duration_ms is not None:
        return start_ns + round(record.duration_ms * 1e6)
    return start_ns if record.finished_at is None else max(start_ns, _ns(record.finished_at))
