"""Requests by way of the fingerprint transport, against direct ones of the same proxy.

The provider is on this machine and speaks plain HTTP: both ways are without TLS, whose cost would
hide the difference.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median

from tests.bench import traffic
from tests.bench.load import connected
from tests.bench.result import OPTIONS, RATIO, Figure
from tests.bench.rounds import (
    Load,
    cpu_per_1000_events,
    cpu_per_1000_requests,
    first_byte_ms,
    measure_loads,
)
from tests.bench.servers import Target, ours_with, provider, warm_up

TITLE = "Requests with a fingerprint profile, against direct ones"
SMALL_RATIO, EVENT_RATIO, FIRST_BYTE_MS = 2.5, 1.5, 1.5
STREAMS, GROWTH_MB = 200, 8.0
_PROVIDERS = """\
  profiled:
    type: anthropic
    scheme: http
    host: 127.0.0.1
    port: {port}
    auth: {{type: command, command: "echo sk-ant-api03-bench-profiled"}}
    fingerprint_profile: chrome131
"""
DIRECTLY, PROFILED = "direct", "chrome131"


def figures() -> Iterator[Figure]:
    """A minute when quick, four otherwise."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        upstream = stack.enter_context(provider())
        more = _PROVIDERS.format(port=upstream.port)
        product = stack.enter_context(ours_with(upstream, Path(name) / "ours", more))
        warm_up(product)
        asyncio.run(_first(product))
        yield from _small(product)
        yield from _events(product)
        yield from _held(product)


async def _first(product: Target) -> None:
    """Start the transport: the first request pays for what is loaded late."""
    async with connected(product.port, 1) as (connection,):
        await connection.ask(_keyed(traffic.small)(product.port))
    product.acknowledged += 1


def _keyed(make: Callable[[int], bytes]) -> Callable[[int], bytes]:
    return lambda port: traffic.with_key(make(port), "profiled")


def _small(product: Target) -> Iterator[Figure]:
    requests, rounds = (200, 4) if OPTIONS.quick else (600, 9)
    loads = {
        DIRECTLY: Load(traffic.small, requests, 1),
        PROFILED: Load(_keyed(traffic.small), requests, 1),
    }
    series = measure_loads(product, loads, rounds)
    what = "CPU for 1,000 requests of 2 KB, one connection"
    for case in loads:
        yield Figure(what, case, series.value(case, cpu_per_1000_requests), "s")
    ratio = series.ratio(PROFILED, DIRECTLY, cpu_per_1000_requests)
    yield Figure(what, f"{PROFILED} by {DIRECTLY}", ratio, RATIO, SMALL_RATIO)
    what = "first byte of a request of 2 KB"
    for case in loads:
        yield Figure(what, case, series.value(case, first_byte_ms), "ms")
    added_ms = series.added(PROFILED, DIRECTLY, first_byte_ms)
    yield Figure(what, f"added by {PROFILED}", added_ms, "ms", FIRST_BYTE_MS)


def _events(product: Target) -> Iterator[Figure]:
    streams, events, every_ms, rounds = (8, 100, 10.0, 3) if OPTIONS.quick else (16, 200, 20.0, 5)
    make = partial(traffic.streamed, events=events, every_ms=every_ms)
    loads = {
        DIRECTLY: Load(make, streams, streams),
        PROFILED: Load(_keyed(make), streams, streams),
    }
    series = measure_loads(product, loads, rounds)
    what = f"CPU for 1,000 events, {streams} streams at once"
    for case in loads:
        yield Figure(what, case, series.value(case, cpu_per_1000_events), "s")
    ratio = series.ratio(PROFILED, DIRECTLY, cpu_per_1000_events)
    yield Figure(what, f"{PROFILED} by {DIRECTLY}", ratio, RATIO, EVENT_RATIO)


def _held(product: Target) -> Iterator[Figure]:
    seen_mb = asyncio.run(_hold(product))
    product.acknowledged += STREAMS
    quarter = max(1, len(seen_mb) // 4)
    growth_mb = median(seen_mb[-quarter:]) - median(seen_mb[quarter : 2 * quarter])
    what = f"memory while {STREAMS} streams run"
    yield Figure(what, "each, at the most", _each_kb(seen_mb), "KB")
    yield Figure(what, "last quarter less the second", growth_mb, "MB", GROWTH_MB)


def _each_kb(seen_mb: list[float]) -> float:
    return (max(seen_mb) - seen_mb[0]) * 1024 / STREAMS


async def _hold(product: Target) -> list[float]:
    """Return the memory of all processes, before and while the streams run."""
    seconds = 8 if OPTIONS.quick else 20
    make = partial(traffic.streamed, product.port, seconds * 4, 250.0)
    seen_mb = [product.memory().pss_mb]
    async with connected(product.port, STREAMS) as connections:
        asking = [
            connection.ask(traffic.with_key(make(), "profiled")) for connection in connections
        ]
        running = asyncio.gather(*asking)
        while not running.done():
            await asyncio.sleep(0.5)
            seen_mb.append(product.memory().pss_mb)
        answers = await running
    assert [answer.status_code for answer in answers] == [200] * STREAMS
    return seen_mb
