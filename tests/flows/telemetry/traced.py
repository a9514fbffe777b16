"""Flows as the writer makes spans of them, and the spans as a collector reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from flows.models import Flow
from flows.record import FlowRecord
from flows.redaction.redactor import Redactor
from flows.telemetry.finished_flow import FinishedFlow
from flows.telemetry.flow_attributes import SpanConf
from flows.telemetry.flow_spans import SpanMaker
from flows.telemetry.otlp_span import encode_request, encode_resource
from flows.writer.rows.row_builder import RowBuilder
from providers.auth.registry import SecretRegistry
from tests.fakes.otlp_collector import attributes


def written(
    record: FlowRecord,
    on_finished: Callable[[FinishedFlow], None],
    registry: SecretRegistry | None = None,
) -> Flow:
    """The row of a record, built as the writer does."""
    redactor = Redactor(registry or SecretRegistry())
    return RowBuilder(redactor, tuple, [on_finished]).build(record).flow


def spans(
    record: FlowRecord, conf: SpanConf | None = None, registry: SecretRegistry | None = None
) -> list[Span]:
    """The spans of a flow, read back by opentelemetry-proto."""
    encoded: list[bytes] = []
    maker = SpanMaker(conf or SpanConf())

    def keep(flow: FinishedFlow) -> None:
        encoded.append(maker.spans_of(flow).data)

    written(record, keep, registry)
    request = encode_request(encode_resource({"service.name": "s"}), "s", encoded)
    parsed = ExportTraceServiceRequest.FromString(request)
    # Exactly the bytes of the reference: no unknown field, no field out of order.
    assert parsed.SerializeToString(deterministic=True) == request
    return list(parsed.resource_spans[0].scope_spans[0].spans)


def root(
    record: FlowRecord, conf: SpanConf | None = None, registry: SecretRegistry | None = None
) -> dict[str, Any]:
    """The attributes of a flow's own span."""
    return attributes(spans(record, conf, registry)[0].attributes)
