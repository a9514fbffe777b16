"""Small requests: CPU time of all processes and of the proxy's alone, throughput, latency."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.bench import traffic
from tests.bench.result import OPTIONS, RATIO, Figure
from tests.bench.rounds import (
    Load,
    Series,
    cpu_per_1000_requests,
    cpu_with_index_per_1000_requests,
    measure,
    p50_ms,
    p99_ms,
    proxy_cpu_per_1000_requests,
    requests_per_s,
)
from tests.bench.servers import DIRECT, DUMP, OURS, Target, mitmdump, ours, provider, warm_up

TITLE = "Small requests, with everything on, against bare mitmdump"
CPU_RATIO = {1: 1.05, 16: 1.0}
PROXY_CPU_RATIO = 0.7
P50_RATIO, P99_RATIO = 0.75, 1.3
THROUGHPUT = 1.5


def figures() -> Iterator[Figure]:
    """A minute when quick, five otherwise."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        upstream = stack.enter_context(provider())
        dump = stack.enter_context(mitmdump(upstream, folder, streamed=False))
        product = stack.enter_context(ours(upstream, folder / "ours"))
        targets = [upstream, dump, product]
        for target in targets:
            warm_up(target)
        for connections in (1, 16):
            yield from _small(targets, connections)
        product.settle()
        lost = product.acknowledged - product.recorded()
        what = "flows that were acknowledged and not recorded"
        yield Figure(what, f"of {product.acknowledged}", lost, "", 0)


def _small(targets: Sequence[Target], connections: int) -> Iterator[Figure]:
    requests, rounds = (300, 5) if OPTIONS.quick else (1000, 9)
    series = measure(targets, Load(traffic.small, requests, connections), rounds)
    at_once = f"{connections} connection{'s' if connections > 1 else ''}"
    yield from _cpu(series, connections, at_once)
    what = f"requests a second, {at_once}"
    for name in (DIRECT, DUMP, OURS):
        yield Figure(what, name, series.value(name, requests_per_s), "1/s")
    limit = 1 / THROUGHPUT if connections == 16 else None
    slower = series.ratio(DUMP, OURS, requests_per_s)
    yield Figure(what, f"mitmdump by ccproxy (1/{THROUGHPUT:g})", slower, RATIO, limit)
    if connections == 1:
        yield from _latency(series)


def _cpu(series: Series, connections: int, at_once: str) -> Iterator[Figure]:
    what = f"CPU for 1,000 requests of 2 KB, {at_once}"
    for name in (DUMP, OURS):
        yield Figure(what, name, series.value(name, cpu_per_1000_requests), "s")
    indexed_s = series.value(OURS, cpu_with_index_per_1000_requests)
    yield Figure(what, f"{OURS}, until its texts are indexed", indexed_s, "s")
    proxy_s = series.value(OURS, proxy_cpu_per_1000_requests)
    yield Figure(what, f"{OURS}, proxy process", proxy_s, "s")
    ratio = partial(series.ratio, OURS, DUMP)
    limit = CPU_RATIO[connections]
    yield Figure(what, "ccproxy by mitmdump", ratio(cpu_per_1000_requests), RATIO, limit)
    alone = ratio(proxy_cpu_per_1000_requests)
    yield Figure(what, "proxy process by mitmdump", alone, RATIO, PROXY_CPU_RATIO)


def _latency(series: Series) -> Iterator[Figure]:
    rows = (("p50", p50_ms, P50_RATIO), ("p99", p99_ms, P99_RATIO))
    for percentile, of, limit in rows:
        what = f"{percentile} of a request of 2 KB, one after the other"
        for name in (DIRECT, DUMP, OURS):
            yield Figure(what, name, series.value(name, of), "ms")
        yield Figure(what, "ccproxy by mitmdump", series.ratio(OURS, DUMP, of), RATIO, limit)
