"""Telemetry of the recorder: its configuration, what it counts, and the service that ends it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

from flows.telemetry.flow_attributes import SpanConf
from flows.telemetry.metrics import instruments as metrics
from flows.telemetry.metrics.instruments import Point
from flows.telemetry.metrics.measures import FlowMeasures
from flows.telemetry.metrics.otlp_metrics import MetricsPush, metrics_push_of
from flows.telemetry.outbox import OutboxStats
from flows.telemetry.tracing import Tracing, TracingConf, tracing_of
from flows.writer.writer_stats import WriterStats
from interceptor.config.files.server import ServerSettings

FLUSH_TIMEOUT_S = 3.0
"""How long a stop waits for a collector."""
MEASURES_EVERY_S = 5.0
"""Age at which the points for the heartbeat are made anew."""


def tracing_conf(settings: ServerSettings) -> TracingConf:
    """Return what the settings say of the export of spans and metrics."""
    otel = settings.otel
    return TracingConf(
        enabled=otel.enabled,
        endpoint=otel.endpoint,
        service_name=otel.service_name,
        protocol=otel.protocol,
        spans=SpanConf(
            provider_map=settings.inspector.provider_map,
            legacy_names=otel.legacy_names,
            capture_content=otel.capture_content,
        ),
    )


class RecorderTelemetry:
    """Counters of the recorder, and the export of spans and metrics if that is on.

    Args:
        conf: of the export.
        writer_stats: returns the writer's state.
        proxy_points: returns the metrics of the connected proxies.
    """

    def __init__(
        self,
        conf: TracingConf,
        writer_stats: Callable[[], WriterStats],
        proxy_points: Callable[[], list[Point]],
    ) -> None:
        self._writer_stats, self._proxy_points = writer_stats, proxy_points
        self._measures = FlowMeasures()
        self.tracing: Tracing | None = tracing_of(conf)
        self.push: MetricsPush | None = None
        if self.tracing is not None:
            self.push = metrics_push_of(conf, self._all_points)
        self._told: list[Any] = []
        self._told_at = float("-inf")
        observers = [self._measures.finished]
        if self.tracing is not None:
            observers.append(self.tracing.finished)
        self.on_finished = tuple(observers)
        """What the writer tells of each finished flow."""

    def measures(self) -> list[Any]:
        """Return the points for the heartbeat's row, a few seconds old at most."""
        now = time.monotonic()
        if now - self._told_at >= MEASURES_EVERY_S:
            self._told = [point.as_json() for point in self._points()]
            self._told_at = now
        return self._told

    def _all_points(self) -> list[Point]:
        return [*self._points(), *self._proxy_points()]

    def _points(self) -> list[Point]:
        points = self._measures.points()
        points += writer_points(self._writer_stats())
        if self.tracing is not None:
            points += span_points(self.tracing.stats())
        return points


def writer_points(stats: WriterStats) -> Iterator[Point]:
    """Yield the metrics of the thread that writes flows."""
    recorder = {"proxy": "recorder"}
    yield Point(metrics.QUEUE_DEPTH, {}, stats.queue_depth)
    # Whole seconds: a lag of milliseconds would make every heartbeat a new one.
    yield Point(metrics.WRITER_LAG, {}, float(int(stats.lag_s)))
    dropped = stats.records_dropped + stats.records_failed
    yield Point(metrics.RECORDS_DROPPED, recorder, dropped)
    yield Point(metrics.BODIES_DROPPED, recorder, stats.bodies_dropped)


def span_points(stats: OutboxStats) -> Iterator[Point]:
    """Yield the metrics of the spans' export."""
    yield Point(metrics.SPANS_SENT, {}, stats.sent)
    yield Point(metrics.SPANS_DROPPED, {}, stats.dropped)
    yield Point(metrics.SPANS_WAITING, {}, stats.waiting)


class ExportService:
    """The threads that send spans and metrics.

    They outlive the writer, which makes the last ones.
    """

    name = "the export of telemetry"
    stop_limit_s = 2 * FLUSH_TIMEOUT_S + 2.0

    def __init__(self, tracing: Tracing, push: MetricsPush | None) -> None:
        self._tracing, self._push = tracing, push

    async def start(self) -> None:
        """Start the threads; they connect with the first spans."""
        self._tracing.start()
        if self._push is not None:
            self._push.start()

    async def stop(self) -> None:
        """Send what waits, for a few seconds at most."""
        closing = [asyncio.to_thread(self._tracing.close, FLUSH_TIMEOUT_S)]
        if self._push is not None:
            closing.append(asyncio.to_thread(self._push.close, FLUSH_TIMEOUT_S))
        await asyncio.gather(*closing)
