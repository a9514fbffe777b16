"""`--workers 2` against one process: how many more requests are served, recorded flows included.

The load generator and the scripted provider run on the same cores and take their share. Their CPU
time is measured in each run, and the accounted figure is what the proxy's processes would do if
those two ran elsewhere: requests for each second of a core that the proxy could have, times the
cores it can use.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench import traffic
from tests.bench.load import closed_loop, connected
from tests.bench.result import OPTIONS, RATIO, Figure
from tests.bench.servers import Target, ours, provider

TITLE = "Two workers on one port, against one process"
CONNECTIONS = 32
WANTED = 1.7
_COUNTS = (1, 2)


@dataclass(frozen=True, slots=True)
class _Run:
    """One server under full load. `other_cpu_s` is what the generator and the provider took."""

    requests: int
    wall_s: float
    proxy_cpu_s: float
    other_cpu_s: float

    @property
    def per_s(self) -> float:
        """Requests a second, until the last of them was recorded."""
        return self.requests / self.wall_s

    def accounted(self, workers: int) -> float:
        """Requests a second if nothing else ran on the machine's cores."""
        cores = os.cpu_count() or 1
        had = min(workers, cores - self.other_cpu_s / self.wall_s)
        return self.per_s / had * min(workers, cores)


def figures() -> Iterator[Figure]:
    """About a minute."""
    requests, rounds = (1500, 3) if OPTIONS.quick else (4000, 5)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        upstream = stack.enter_context(provider())
        servers = {
            count: stack.enter_context(
                ours(upstream, Path(name) / str(count), "--workers", str(count))
            )
            for count in _COUNTS
        }
        for server in servers.values():
            _run(server, upstream, 300)
        runs = [
            {count: _run(server, upstream, requests) for count, server in servers.items()}
            for _ in range(rounds)
        ]
        lost = sum(server.acknowledged - server.recorded() for server in servers.values())
    for count in _COUNTS:
        label = f"{count} process{'es' if count > 1 else ''}"
        yield Figure(
            "requests a second, 32 connections",
            label,
            median(run[count].per_s for run in runs),
            "1/s",
        )
        cpu_s = median(run[count].proxy_cpu_s / requests * 1000 for run in runs)
        yield Figure("CPU of the proxy for 1,000 requests", label, cpu_s, "s")
    as_run = median(run[1].per_s / run[2].per_s for run in runs)
    yield Figure("time of two workers for the work of one process", "as it ran", as_run, RATIO)
    accounted = median(run[1].accounted(1) / run[2].accounted(2) for run in runs)
    case = f"generator and provider accounted for (1/{WANTED})"
    yield Figure(
        "time of two workers for the work of one process", case, accounted, RATIO, 1 / WANTED
    )
    yield Figure("flows that were acknowledged and not recorded", "both", lost, "", 0)


def _run(server: Target, upstream: Target, requests: int) -> _Run:
    proxy_s, other_s, began = (
        server.cpu_s(),
        upstream.cpu_s() + time.process_time(),
        time.perf_counter(),
    )
    asyncio.run(_ask(server, requests))
    server.acknowledged += requests
    server.settle()
    wall_s = time.perf_counter() - began
    other_s = upstream.cpu_s() + time.process_time() - other_s
    return _Run(requests, wall_s, server.cpu_s() - proxy_s, other_s)


async def _ask(server: Target, requests: int) -> None:
    async with connected(server.port, CONNECTIONS) as connections:
        await closed_loop(connections, traffic.times(requests, lambda: traffic.small(server.port)))
