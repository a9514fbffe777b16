"""The trace's context in the request that leaves: the setting `otel.propagate`."""

from __future__ import annotations

from flows.telemetry.trace_context import (
    TRACEPARENT,
    TRACESTATE,
    UPSTREAM,
    TraceContext,
    incoming_context,
    part_id_of,
    span_id_of,
    trace_id_of,
    traceparent,
)
from interceptor.exchange.flow_state import FlowState
from interceptor.pipeline.exchange import Exchange


def name_own_span(state: FlowState, exchange: Exchange) -> None:
    """Name the span of the flow's upstream part as the provider's parent.

    The trace is the client's, or the flow's own. The client's `tracestate` goes with it.
    """
    headers = state.client.headers if state.client else ()
    incoming = incoming_context(headers)
    context = incoming or TraceContext(trace_id_of(state.flow_id))
    if incoming is None:
        # The state of a trace that nobody can name.
        exchange.headers.remove(TRACESTATE)
    parent = part_id_of(span_id_of(state.flow_id), UPSTREAM)
    value = traceparent(context.trace_id, parent, is_sampled=context.is_sampled)
    exchange.headers.set(TRACEPARENT, value)
