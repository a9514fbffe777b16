"""Spans of OpenTelemetry's own instrumentation, sent like ours. Imports the SDK."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from flows.telemetry.conventions import URL_QUERY
from flows.telemetry.otlp_sender import Sender, SendError

logger = logging.getLogger(__name__)

TIMEOUT_S: Final = 3.0
"""Limit of one request: the process's stop waits for the last one."""


class RedactingExporter(SpanExporter):
    """Exporter for a batch processor. Texts lose their secrets; a failure is one line in the log.

    Args:
        connect: makes the connection, once a process.
        redact: cuts secrets out of a text.
        shown: the collector in messages.
    """

    def __init__(
        self, connect: Callable[[], Sender], redact: Callable[[str], str], shown: str
    ) -> None:
        self._connect, self._redact, self._shown = connect, redact, shown
        self._sender: Sender | None = None
        self._has_failed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send the spans; those that cannot be sent are lost."""
        request = encode_spans(spans)
        for group in request.resource_spans:
            for scope in group.scope_spans:
                for span in scope.spans:
                    self._redact_span(span)
        try:
            if self._sender is None:
                # Not before: a worker may fork first, and gRPC does not survive that.
                self._sender = self._connect()
            self._sender.send(request.SerializeToString(), TIMEOUT_S)
        except SendError as exc:
            if not self._has_failed:
                logger.warning("Telemetry does not reach %s (%s)", self._shown, exc)
            self._has_failed = True
            return SpanExportResult.FAILURE
        self._has_failed = False
        return SpanExportResult.SUCCESS

    def _redact_span(self, span: Span) -> None:
        span.name = self._redact(span.name)
        for pair in span.attributes:
            if not pair.value.HasField("string_value"):
                continue
            text = pair.value.string_value
            # A parameter is known by the mark in front of it, which a bare query lacks.
            if pair.key == URL_QUERY:
                pair.value.string_value = self._redact(f"?{text}")[1:]
            else:
                pair.value.string_value = self._redact(text)

    def shutdown(self) -> None:
        """Close the connection."""
        if self._sender is not None:
            self._sender.close()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Return at once: nothing waits here."""
        return True
