"""Metrics of the running interceptors, as their heartbeats tell them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flows.telemetry.metrics import instruments as metrics
from flows.telemetry.metrics.instruments import Point, point_of
from interceptor.instances.running_cooldowns import running_cooldowns
from interceptor.models import InterceptorStatus


def proxy_points(name: str, facts: Mapping[str, Any]) -> Iterator[Point]:
    """Yield the metrics of one proxy.

    Args:
        name: of the proxy in heartbeats.
        facts: values of its row by column; missing ones are 0.
    """
    labels = {"proxy": name}
    yield Point(metrics.ACTIVE_FLOWS, labels, float(facts.get("active_flows", 0)))
    yield Point(metrics.RECORDS_DROPPED, labels, float(facts.get("records_dropped", 0)))
    yield Point(metrics.BODIES_DROPPED, labels, float(facts.get("bodies_dropped", 0)))


def running_points(running: Iterable[InterceptorStatus]) -> list[Point]:
    """Return the metrics of all running interceptors and their recorders."""
    statuses = list(running)
    found: list[Point] = []
    for status in statuses:
        found += proxy_points(status.instance, vars(status))
        stored = (point_of(one) for one in status.measures)
        found += [point for point in stored if point is not None]
    for cooldown in running_cooldowns(statuses):
        labels = {"provider": cooldown.provider, "model": cooldown.model, "cause": cooldown.cause}
        found.append(Point(metrics.COOLDOWNS, labels, float(cooldown.instances)))
    return found
