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

from flows.telemetry.conventions import SERVICE_NAME, SERVICE_VERSION
from flows.telemetry.finished_flow import FinishedFlow
from flows.telemetry.flow_attributes import FlowAttributes, SpanConf
from flows.telemetry.flow_spans import spans_of
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


class Tracing:
    """Makes spans of finished flows and queues them for the collector.

    Called on the writer's thread; sending has a thread of its own.
    """

    def __init__(self, outbox: Outbox, conf: SpanConf) -> None:
        self._outbox, self._attributes = outbox, FlowAttributes(conf)
        self._is_broken = False

    def finished(self, flow: FinishedFlow) -> None:
        """Queue the spans of a flow; never raises."""
        try:
            spans = spans_of(flow, self._attributes)
            if spans.number:
                self._outbox.put(spans.data, spans.number)
        except Exception:
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
        self._outbox.close(timeout_s)


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
