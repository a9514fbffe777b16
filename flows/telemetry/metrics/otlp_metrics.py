"""Points as an OTLP request, and the thread that sends one every minute."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final

from flows.telemetry.conventions import SCHEMA_URL
from flows.telemetry.metrics.instruments import Distribution, Instrument, Point
from flows.telemetry.otlp_sender import Sender, SendError, sender_to
from flows.telemetry.otlp_target import target_of
from flows.telemetry.tracing import TracingConf, resource_attributes

if TYPE_CHECKING:
    from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

logger = logging.getLogger(__name__)

INTERVAL_S: Final = 60.0
_INTERVAL_VARIABLE: Final = "OTEL_METRIC_EXPORT_INTERVAL"


def interval_s(environ: Mapping[str, str] = os.environ) -> float:
    """Return the pause between two requests; the standard variable holds milliseconds."""
    try:
        return max(0.1, float(environ.get(_INTERVAL_VARIABLE, "")) / 1000)
    except ValueError:
        return INTERVAL_S


def encode_metrics(
    points: Iterable[Point], resource: Mapping[str, str], scope: str, since_ns: int, now_ns: int
) -> bytes:
    """Return the request of a collector's `Export` with cumulative values since `since_ns`."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceRequest,
    )
    from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
    from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics, ScopeMetrics
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource

    by_instrument: dict[Instrument, list[Point]] = {}
    for point in points:
        by_instrument.setdefault(point.instrument, []).append(point)
    metrics = [_metric(one, found, since_ns, now_ns) for one, found in by_instrument.items()]
    scoped = ScopeMetrics(
        scope=InstrumentationScope(name=scope), metrics=metrics, schema_url=SCHEMA_URL
    )
    of_resource = ResourceMetrics(
        resource=Resource(attributes=_pairs(resource)), scope_metrics=[scoped]
    )
    request: bytes = ExportMetricsServiceRequest(resource_metrics=[of_resource]).SerializeToString()
    return request


def _metric(instrument: Instrument, points: list[Point], since_ns: int, now_ns: int) -> Metric:
    from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

    metric = pb.Metric(name=instrument.name, description=instrument.help, unit=instrument.unit)
    if instrument.kind == "histogram":
        metric.histogram.aggregation_temporality = pb.AGGREGATION_TEMPORALITY_CUMULATIVE
    elif instrument.kind == "counter":
        metric.sum.aggregation_temporality = pb.AGGREGATION_TEMPORALITY_CUMULATIVE
        metric.sum.is_monotonic = True
    for point in points:
        common: dict[str, Any] = {
            "attributes": _pairs(point.labels),
            "start_time_unix_nano": since_ns,
            "time_unix_nano": now_ns,
        }
        if isinstance(point.value, Distribution):
            metric.histogram.data_points.append(
                pb.HistogramDataPoint(
                    **common,
                    count=point.value.count,
                    sum=point.value.sum,
                    bucket_counts=point.value.buckets,
                    explicit_bounds=instrument.bounds,
                )
            )
        elif instrument.kind == "counter":
            metric.sum.data_points.append(pb.NumberDataPoint(**common, as_double=point.value))
        else:
            metric.gauge.data_points.append(pb.NumberDataPoint(**common, as_double=point.value))
    return metric


def _pairs(labels: Mapping[str, str]) -> list[Any]:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

    return [
        KeyValue(key=name, value=AnyValue(string_value=value)) for name, value in labels.items()
    ]


class MetricsPush:
    """Thread that sends the points now and then, and once more at the end.

    A collector that is away costs one line in the log; the next request has everything again.

    Args:
        sender: connection to the collector.
        points: returns the values so far.
        encode: makes a request of points; the second argument is the time in nanoseconds.
        timeout_s: limit of one request.
        every_s: pause between two requests.
    """

    def __init__(
        self,
        sender: Sender,
        points: Callable[[], list[Point]],
        encode: Callable[[list[Point], int], bytes],
        *,
        shown: str,
        timeout_s: float,
        every_s: float,
    ) -> None:
        self._sender, self._points, self._encode = sender, points, encode
        self._shown, self._timeout_s, self._every_s = shown, timeout_s, every_s
        self._stopping = Event()
        self._has_failed = False
        self._thread = Thread(target=self._run, name="metrics", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        """Send the last values, for at most `timeout_s`."""
        self._stopping.set()
        self._thread.join(timeout_s)
        if not self._thread.is_alive() and not self._has_failed:
            self._send(timeout_s)
        self._sender.close()

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            self._send(self._timeout_s)

    def _send(self, timeout_s: float) -> None:
        try:
            self._sender.send(self._encode(self._points(), time.time_ns()), timeout_s)
        except SendError as exc:
            if not self._has_failed:
                logger.warning(
                    "Metrics do not reach %s (%s); they are sent again", self._shown, exc
                )
            self._has_failed = True
        except Exception:
            if not self._has_failed:
                logger.exception("Metrics could not be sent")
            self._has_failed = True
        else:
            self._has_failed = False


def metrics_push_of(
    conf: TracingConf,
    points: Callable[[], list[Point]],
    environ: Mapping[str, str] = os.environ,
) -> MetricsPush | None:
    """Return the export of metrics; None, after a warning, when it cannot begin."""
    resource = resource_attributes(conf.service_name)
    since_ns = time.time_ns()
    try:
        target = target_of("metrics", conf.endpoint, conf.protocol, environ)
        sender = sender_to(target, "metrics")
    except Exception as exc:
        logger.warning("Metrics are not sent: %s", exc)
        return None
    return MetricsPush(
        sender,
        points,
        lambda found, now_ns: encode_metrics(found, resource, conf.service_name, since_ns, now_ns),
        shown=target.shown,
        timeout_s=target.timeout_s,
        every_s=interval_s(environ),
    )
