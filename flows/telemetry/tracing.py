"""Export of spans: the modes, and the sink on the writer's thread.

- export: `otel.enabled` is true and the packages are installed.
- no-op: it is false; nothing is imported.
- stub: a package is missing; one warning, then as no-op. The same for any other failure to begin.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from flows.telemetry.conventions import SERVICE_NAME, SERVICE_VERSION
from flows.telemetry.finished_flow import FinishedFlow
from flows.telemetry.flow_attributes import SpanConf
from flows.telemetry.flow_spans import SpanMaker
from flows.telemetry.otlp_sender import sender_to
from flows.telemetry.otlp_span import encode_request, encode_resource
from flows.telemetry.otlp_target import DEFAULT_ENDPOINT, Protocol, Target, target_of
from flows.telemetry.outbox import Outbox, OutboxStats
from providers.base.errors import ConfigError
from providers.base.version import product_version

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TracingConf:
    """Settings of the export."""

    enabled: bool = False
    endpoint: str = DEFAULT_ENDPOINT
    service_name: str = "ccproxy"
    protocol: Protocol | None = None
    spans: SpanConf = field(default_factory=SpanConf)


BATCH_FLOWS: Final = 64
"""Flows whose spans are made together: one by one, between rows, they cost half as much again."""
BATCH_BYTES: Final = 1024 * 1024
"""Bodies that flows may keep in memory until then."""


class Tracing:
    """Makes spans of finished flows, several flows at once, and queues them for the collector.

    Flows come on the writer's thread, which makes the spans of a full batch. A batch that does
    not fill is made by the thread that sends, when the spans are due.
    """

    def __init__(self, outbox: Outbox, conf: SpanConf) -> None:
        self._outbox, self._maker = outbox, SpanMaker(conf)
        self._has_content = conf.capture_content
        self._pending: list[FinishedFlow] = []
        self._pending_bytes = 0
        # Held while spans are made, too: the maker is for one thread at a time.
        self._lock = Lock()
        self._is_broken = False
        outbox.fill_by(self._flush)

    def finished(self, flow: FinishedFlow) -> None:
        """Take a flow whose spans are to be made; never raises."""
        with self._lock:
            try:
                self._read_bodies(flow)
            except Exception:
                self._note_defect(flow)
                return
            self._pending.append(flow)
            self._pending_bytes += _size_bytes(flow)
            is_first = len(self._pending) == 1
            if len(self._pending) >= BATCH_FLOWS or self._pending_bytes >= BATCH_BYTES:
                self._make_spans()
                return
        if is_first:
            self._outbox.expect()

    def _read_bodies(self, flow: FinishedFlow) -> None:
        """Read the bodies that spans are made of: the writer's thread alone may do so."""
        if not flow.readable("forwarded") or self._has_content:
            flow.readable("client")
        flow.readable("upstream")

    def _flush(self) -> None:
        with self._lock:
            self._make_spans()

    def _make_spans(self) -> None:
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        for flow in pending:
            try:
                spans = self._maker.spans_of(flow)
                if spans.number:
                    self._outbox.put(spans.data, spans.number)
            except Exception:
                self._note_defect(flow)

    def _note_defect(self, flow: FinishedFlow) -> None:
        # One notice: a defect here would show in every flow.
        if not self._is_broken:
            logger.exception("No span could be made of flow %s", flow.record.id)
        self._is_broken = True

    def start(self) -> None:
        """Start the thread that sends."""
        self._outbox.start()

    def stats(self) -> OutboxStats:
        """Return the counters of the spans."""
        return self._outbox.stats()

    def close(self, timeout_s: float) -> None:
        """Send what waits, for at most `timeout_s`."""
        self._flush()
        self._outbox.close(timeout_s)


def _size_bytes(flow: FinishedFlow) -> int:
    """Return the size of the bodies that a flow keeps in memory."""
    return sum(len(side.body or b"") for side in flow.record.sides)


def tracing_of(conf: TracingConf, environ: Mapping[str, str] = os.environ) -> Tracing | None:
    """Return the export of spans; None where there is none, after a warning if one was wanted."""
    if not conf.enabled:
        return None
    try:
        target = target_of("traces", conf.endpoint, conf.protocol, environ)
        return Tracing(_outbox(conf, target), conf.spans)
    except ImportError as exc:
        logger.warning("Telemetry is off: the package %s is not installed", exc.name)
    except ConfigError as exc:
        logger.warning("Telemetry is off: %s", exc)
    except Exception as exc:
        logger.warning("Telemetry is off: %s: %s", type(exc).__name__, exc)
    return None


def _outbox(conf: TracingConf, target: Target) -> Outbox:
    resource = encode_resource(resource_attributes(conf.service_name))
    scope = conf.service_name
    return Outbox(
        sender_to(target, "traces"),
        lambda spans: encode_request(resource, scope, spans),
        shown=target.shown,
        timeout_s=target.timeout_s,
    )


def resource_attributes(service_name: str) -> dict[str, str]:
    """Return the attributes of the resource: what made the telemetry."""
    return {SERVICE_NAME: service_name, SERVICE_VERSION: product_version()}
