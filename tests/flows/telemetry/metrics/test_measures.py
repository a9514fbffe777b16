"""Counters and histograms of finished flows, and their way to a collector."""

from __future__ import annotations

import logging
from typing import Any

import grpc
import pytest

from ccproxy_site.telemetry.recorder_telemetry import RecorderTelemetry, tracing_conf
from flows.record import AttemptRecord
from flows.telemetry.metrics import instruments as metrics
from flows.telemetry.metrics.instruments import Distribution, Instrument, Point, point_of
from flows.telemetry.metrics.measures import OTHER, FlowMeasures
from flows.telemetry.metrics.otlp_metrics import INTERVAL_S, interval_s, metrics_push_of
from flows.telemetry.tracing import TracingConf
from flows.writer.writer_stats import WriterStats
from interceptor.config.files.server import ServerSettings
from tests.fakes.otlp_collector import GrpcCollector, HttpCollector, attributes
from tests.flows.records import eventually
from tests.flows.telemetry.model_calls import (
    anthropic,
    anthropic_stream,
    failed,
    google,
    openai_stream,
    retried,
)
from tests.flows.telemetry.traced import written
from tests.patience import PATIENCE_S

STATS = WriterStats(3, 0, 9, 2, 1, 1, 0, 1.7, "", False, 0)
CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5",
}


def measured(*records: Any, max_sets: int = 100) -> FlowMeasures:
    measures = FlowMeasures(max_sets)
    for record in records:
        written(record, measures.finished)
    return measures


def values(measures: FlowMeasures, instrument: Instrument) -> dict[tuple[str, ...], Any]:
    return {
        tuple(point.labels.values()): point.value
        for point in measures.points()
        if point.instrument is instrument
    }


def test_durations_tokens_and_the_first_chunk() -> None:
    measures = measured(anthropic(), anthropic_stream(id="b"), failed(id="c"))
    durations = values(measures, metrics.DURATION)
    key = tuple(CALL.values())
    assert durations.keys() == {key, (*key, "529")}
    # 1.5 s twice: in the bucket above 1.28 and up to 2.56.
    assert (durations[key].buckets[8], durations[key].count, durations[key].sum) == (2, 2, 3.0)
    assert metrics.DURATION.bounds[7:9] == (1.28, 2.56)
    chunks = values(measures, metrics.FIRST_CHUNK)
    assert (chunks[key].count, chunks[key].sum) == (1, 0.62)
    tokens = values(measures, metrics.TOKEN_USAGE)
    assert {kind[-1]: value.sum for kind, value in tokens.items()} == {"input": 1009, "output": 90}
    assert values(measures, metrics.FLOWS) == {("main", "ok"): 2, ("main", "failed"): 1}
    assert values(measures, metrics.CACHE_SHARE) == {("main",): 0.8}
    model = "claude-sonnet-4-5"
    assert values(measures, metrics.TOKENS) == {
        ("main", model, "input"): 1009,
        ("main", model, "output"): 90,
        ("main", model, "cache_read"): 800,
        ("main", model, "cache_creation"): 100,
    }


def test_a_bound_belongs_to_its_bucket() -> None:
    measures = measured(anthropic(duration_ms=20.0))
    (value,) = values(measures, metrics.DURATION).values()
    assert value.buckets[:3] == [0, 1, 0]


def test_retries_refusals_and_renewals() -> None:
    renewed = (
        AttemptRecord(1, "", 0.0, 5.0, 401, "h", provider="main"),
        AttemptRecord(2, "401: credential refreshed", 6.0, 9.0, 200, "h", provider="main"),
    )
    measures = measured(
        retried(), anthropic(id="b", attempts=renewed), anthropic(id="c", status_code=401)
    )
    assert values(measures, metrics.RETRIES) == {("main",): 2, ("backup",): 1}
    assert values(measures, metrics.REFUSALS) == {("main",): 2}
    assert values(measures, metrics.RENEWALS) == {("main",): 1}


def test_label_sets_are_bounded() -> None:
    calls = [anthropic(id=str(n), sent_model=f"m{n}", provider=f"p{n}") for n in range(9)]
    measures = measured(*calls, max_sets=3)
    for instrument in (metrics.FLOWS, metrics.DURATION, metrics.TOKENS, metrics.TOKEN_USAGE):
        found = values(measures, instrument)
        assert len(found) == 4
        assert any(OTHER in key for key in found)
    assert sum(values(measures, metrics.FLOWS).values()) == 9
    assert len(values(measures, metrics.CACHE_SHARE)) <= 4


def test_a_point_survives_the_heartbeat() -> None:
    for point in measured(anthropic_stream(), openai_stream(id="b"), google(id="c")).points():
        assert point_of(point.as_json()) == point
    assert point_of(["nonsense", {}, 1]) is None


def test_the_collector_gets_the_values_at_the_stop() -> None:
    points = [
        Point(metrics.DURATION, CALL, Distribution([0] * 8 + [2] + [0] * 6, 3.0)),
        Point(metrics.RETRIES, {"provider": "p"}, 7),
        Point(metrics.ACTIVE_FLOWS, {"proxy": "h:1"}, 5),
    ]
    with GrpcCollector() as collector:
        conf = TracingConf(enabled=True, endpoint=collector.url, service_name="s")
        push = metrics_push_of(conf, lambda: points, {})
        assert push is not None
        push.start()
        push.close(PATIENCE_S)
        (request,) = collector.wait_for(1, "metrics")
    (group,) = request.resource_metrics
    assert attributes(group.resource.attributes)["service.name"] == "s"
    found = {metric.name: metric for metric in group.scope_metrics[0].metrics}
    (duration,) = found["gen_ai.client.operation.duration"].histogram.data_points
    assert attributes(duration.attributes) == CALL
    assert (duration.count, duration.sum) == (2, 3.0)
    assert tuple(duration.explicit_bounds) == metrics.DURATION.bounds
    assert list(duration.bucket_counts)[8] == 2
    assert found["gen_ai.client.operation.duration"].unit == "s"
    retries = found["ccproxy.retries"].sum
    assert (retries.is_monotonic, retries.data_points[0].as_double) == (True, 7)
    assert retries.aggregation_temporality == duration_temporality(found)
    assert found["ccproxy.flows.active"].gauge.data_points[0].as_double == 5


def duration_temporality(found: dict[str, Any]) -> int:
    return int(found["gen_ai.client.operation.duration"].histogram.aggregation_temporality)


def test_metrics_by_http_now_and_then() -> None:
    environ = {"OTEL_METRIC_EXPORT_INTERVAL": "100"}
    with HttpCollector() as collector:
        conf = TracingConf(enabled=True, endpoint=collector.url, protocol="http/protobuf")
        push = metrics_push_of(conf, lambda: [Point(metrics.RETRIES, {}, 1)], environ)
        assert push is not None
        push.start()
        collector.wait_for(2, "metrics")
        push.close(PATIENCE_S)
    assert set(collector.paths) == {"/v1/metrics"}


def test_a_collector_that_refuses_metrics_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[int] = []

    def points() -> list[Point]:
        asked.append(1)
        return []

    with GrpcCollector() as collector, caplog.at_level(logging.INFO):
        collector.refusal = grpc.StatusCode.UNIMPLEMENTED
        conf = TracingConf(enabled=True, endpoint=collector.url)
        push = metrics_push_of(conf, points, {"OTEL_METRIC_EXPORT_INTERVAL": "100"})
        assert push is not None
        push.start()
        eventually(lambda: len(asked) >= 3)
        push.close(PATIENCE_S)
    lines = [record for record in caplog.records if "do not reach" in record.getMessage()]
    assert len(lines) == 1


@pytest.mark.parametrize(("text", "seconds"), [("", INTERVAL_S), ("5000", 5.0), ("x", INTERVAL_S)])
def test_the_interval(text: str, seconds: float) -> None:
    assert interval_s({"OTEL_METRIC_EXPORT_INTERVAL": text}) == seconds


def test_the_recorder_s_points() -> None:
    telemetry = RecorderTelemetry(tracing_conf(ServerSettings()), lambda: STATS, list)
    assert telemetry.tracing is None
    (tell,) = telemetry.on_finished
    written(anthropic(), tell)
    found = {(name, *labels.values()): value for name, labels, value in telemetry.measures()}
    assert found["ccproxy.queue.depth",] == 3
    assert found["ccproxy.writer.lag",] == 1.0
    assert found["ccproxy.records.dropped", "recorder"] == 2
    assert found["ccproxy.bodies.dropped", "recorder"] == 2
    assert found["ccproxy.flows", "main", "ok"] == 1
    assert not any("telemetry" in name[0] for name in found)
    with GrpcCollector() as collector:
        otel = {"enabled": True, "endpoint": collector.url}
        conf = tracing_conf(ServerSettings.model_validate({"otel": otel}))
        telemetry = RecorderTelemetry(conf, lambda: STATS, list)
    assert ["ccproxy.telemetry.spans.waiting", {}, 0] in telemetry.measures()
