"""Latencies by provider, of the newest requests alone: no page reads more rows than these."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Final

from flows.failure import is_failure
from flows.models import Flow

NEWEST: Final = 2_000


@dataclass(frozen=True, slots=True)
class Latency:
    """Times of one provider in milliseconds. `first_*` is the time to the first event."""

    provider: str
    requests: int
    failed: int
    first_p50_ms: float | None
    first_p95_ms: float | None
    total_p50_ms: float | None
    total_p95_ms: float | None
    width_p50: float = 0.0
    """Lengths of bars from 0 to 100, against the slowest provider."""
    width_p95: float = 0.0


@dataclass(slots=True)
class _Times:
    requests: int
    failed: int
    first_ms: list[float]
    total_ms: list[float]


def latencies(since: datetime) -> list[Latency]:
    """Return the providers of the newest finished requests, the busiest first. One query."""
    finished = Flow.objects.filter(started_at__gte=since).exclude(state=Flow.State.LIVE)
    rows = finished.exclude(provider="").order_by("-started_at", "-id")
    columns = (
        "provider",
        "state",
        "status_code",
        "first_event_ms",
        "first_byte_ms",
        "duration_ms",
    )
    times: dict[str, _Times] = defaultdict(lambda: _Times(0, 0, [], []))
    for provider, state, status, event_ms, byte_ms, total_ms in rows.values_list(*columns)[:NEWEST]:
        found = times[provider]
        found.requests += 1
        if is_failure(state, status):
            found.failed += 1
            continue
        # Without events, the first byte is the first thing the client saw.
        first_ms = byte_ms if event_ms is None else event_ms
        if first_ms is not None:
            found.first_ms.append(first_ms)
        if total_ms is not None:
            found.total_ms.append(total_ms)
    busiest_first = sorted(times.items(), key=lambda item: (-item[1].requests, item[0]))
    return _with_widths([_latency(provider, found) for provider, found in busiest_first])


def percentile(numbers: Sequence[float], percent: int) -> float | None:
    """Return the nearest rank: of 1 … 20, the 95th is 19. None of nothing."""
    if not numbers:
        return None
    rank = ceil(percent / 100 * len(numbers))
    return sorted(numbers)[max(rank - 1, 0)]


def _latency(provider: str, found: _Times) -> Latency:
    return Latency(
        provider=provider,
        requests=found.requests,
        failed=found.failed,
        first_p50_ms=percentile(found.first_ms, 50),
        first_p95_ms=percentile(found.first_ms, 95),
        total_p50_ms=percentile(found.total_ms, 50),
        total_p95_ms=percentile(found.total_ms, 95),
    )


def _with_widths(rows: list[Latency]) -> list[Latency]:
    slowest = max((row.first_p95_ms or 0.0 for row in rows), default=0.0)
    if not slowest:
        return rows
    return [_widened(row, slowest) for row in rows]


def _widened(row: Latency, slowest_ms: float) -> Latency:
    return Latency(
        provider=row.provider,
        requests=row.requests,
        failed=row.failed,
        first_p50_ms=row.first_p50_ms,
        first_p95_ms=row.first_p95_ms,
        total_p50_ms=row.total_p50_ms,
        total_p95_ms=row.total_p95_ms,
        width_p50=(row.first_p50_ms or 0.0) / slowest_ms * 100,
        width_p95=(row.first_p95_ms or 0.0) / slowest_ms * 100,
    )
