"""Points as text for Prometheus, by prometheus-client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from flows.telemetry.metrics.instruments import Distribution, Instrument, Point

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def prometheus_text(points: Iterable[Point]) -> bytes:
    """Return the points in Prometheus' text format; values of equal labels are added up."""
    # Loaded by the first who asks.
    from prometheus_client import CollectorRegistry, generate_latest

    found = list(points)

    class Collector:
        """Source of the families, in the registry's terms."""

        def collect(self) -> Iterator[Metric]:
            """Yield a family for each metric that has a point."""
            yield from _families(found)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector())
    return generate_latest(registry)


def _families(points: Sequence[Point]) -> Iterator[Metric]:
    by_instrument: dict[Instrument, list[Point]] = {}
    for point in points:
        by_instrument.setdefault(point.instrument, []).append(point)
    for instrument, members in by_instrument.items():
        yield _family(instrument, _added_up(members))


def _added_up(points: Iterable[Point]) -> list[Point]:
    """Return one point for each set of labels; gauges of shares are the last one's."""
    found: dict[tuple[tuple[str, str], ...], Point] = {}
    for point in points:
        key = tuple(sorted(point.labels.items()))
        before = found.get(key)
        found[key] = point if before is None else _sum(before, point)
    return list(found.values())


def _sum(one: Point, other: Point) -> Point:
    if isinstance(one.value, Distribution) and isinstance(other.value, Distribution):
        pairs = zip(one.value.buckets, other.value.buckets, strict=True)
        buckets = [first + second for first, second in pairs]
        return Point(
            one.instrument, one.labels, Distribution(buckets, one.value.sum + other.value.sum)
        )
    if one.instrument.unit == "1" or isinstance(one.value, Distribution):
        return other
    assert not isinstance(other.value, Distribution)  # noqa: S101  # of the same instrument
    return Point(one.instrument, one.labels, one.value + other.value)


def _family(instrument: Instrument, points: Sequence[Point]) -> Metric:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    names = sorted({name for point in points for name in point.labels})
    kinds: dict[str, Any] = {
        "counter": CounterMetricFamily,
        "gauge": GaugeMetricFamily,
        "histogram": HistogramMetricFamily,
    }
    labels = [name.replace(".", "_") for name in names]
    family = kinds[instrument.kind](instrument.prometheus_name, instrument.help, labels=labels)
    for point in points:
        values = [point.labels.get(name, "") for name in names]
        if isinstance(point.value, Distribution):
            family.add_metric(values, _buckets(instrument, point.value), point.value.sum)
        else:
            family.add_metric(values, point.value)
    metric: Metric = family
    return metric


def _buckets(instrument: Instrument, value: Distribution) -> list[tuple[str, float]]:
    """Return cumulated buckets.

    Bounds 1, 4 and counts 2, 0, 1 → ("1", 2), ("4", 2), ("+Inf", 3).
    """
    cumulated: list[tuple[str, float]] = []
    total = 0
    for bound, count in zip((*instrument.bounds, None), value.buckets, strict=True):
        total += count
        cumulated.append(("+Inf" if bound is None else f"{bound:.10g}", total))
    return cumulated
