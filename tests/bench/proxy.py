"""The whole product (pipeline, credential injection, record, console) against bare mitmdump, in one
interleaved run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.bench import traffic
from tests.bench.memory import flows_figures, streams_figures
from tests.bench.result import OPTIONS, RATIO, Figure
from tests.bench.rounds import (
    Load,
    cpu_per_1000_events,
    cpu_per_1000_requests,
    event_ms,
    first_byte_ms,
    measure,
    p50_ms,
    p99_ms,
    requests_per_s,
)
from tests.bench.servers import DIRECT, DUMP, DUMP_STREAMED, OURS, Target, mitmdump, ours, provider

TITLE = "The proxy with everything on, against bare mitmdump"
CPU_SMALL_RATIO = 1.0
CPU_LARGE_RATIO = 1.2
CPU_EVENT_RATIO = 1.1
FIRST_EVENT_ROOM_MS = 0.5
THROUGHPUT_CONNECTIONS = (1, 16, 64)
STREAMS = {1: (100, 10.0), 32: (150, 25.0), 500: (40, 250.0)}
"""Connections to (events of each stream, milliseconds between two of them)."""


def figures() -> Iterator[Figure]:
    """Everything: about two minutes when quick, ten otherwise."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        upstream = stack.enter_context(provider())
        dump = stack.enter_context(mitmdump(upstream, folder, streamed=False))
        streamed = stack.enter_context(mitmdump(upstream, folder, streamed=True))
        product = stack.enter_context(ours(upstream, folder / "ours"))
        everyone = [upstream, dump, streamed, product]
        for target in everyone:
            _warm_up(target)
        yield from _small(everyone)
        yield from _large(everyone)
        for streams in STREAMS:
            yield from _streams([upstream, streamed, product], streams)
        product.settle()
        lost = product.acknowledged - product.recorded()
        yield Figure(
            "flows that were acknowledged and not recorded",
            f"of {product.acknowledged}",
            lost,
            "",
            0,
        )
    yield from flows_figures()
    yield from streams_figures()


def _warm_up(target: Target) -> None:
    """The first requests pay for what is loaded late."""
    measure([target], Load(traffic.small, 50, 4), 1)


def _small(targets: Sequence[Target]) -> Iterator[Figure]:
    rounds = 3 if OPTIONS.quick else 7
    for connections in THROUGHPUT_CONNECTIONS:
        requests = 300 if OPTIONS.quick else 1000
        series = measure(targets, Load(traffic.small, requests, connections), rounds)
        if connections == 1:
            for percentile, of in (("p50", p50_ms), ("p99", p99_ms)):
                what = f"{percentile} added to a request of 2 KB, one connection"
                limit = series.added(DUMP, DIRECT, of) if percentile == "p50" else None
                yield from _added(
                    targets, partial(series.added, base=DIRECT, measure=of), what, limit
                )
        what = f"requests in a second, {connections} connection{'s' if connections > 1 else ''}"
        for target in targets:
            yield Figure(what, target.name, series.value(target.name, requests_per_s), "")
        yield Figure(what, "mitmdump by ccproxy", series.ratio(DUMP, OURS, requests_per_s), RATIO)
        if connections == 16:
            what = "CPU seconds for 1,000 requests of 2 KB"
            for target in targets[1:]:
                yield Figure(
                    what, target.name, series.value(target.name, cpu_per_1000_requests), "s"
                )
            ratio = series.ratio(OURS, DUMP, cpu_per_1000_requests)
            yield Figure(what, "ccproxy by mitmdump", ratio, RATIO, CPU_SMALL_RATIO)


def _large(targets: Sequence[Target]) -> Iterator[Figure]:
    series = measure(
        targets, Load(traffic.large, 60 if OPTIONS.quick else 150, 1), 3 if OPTIONS.quick else 5
    )
    yield from _added(
        targets,
        partial(series.added, base=DIRECT, measure=p50_ms),
        "p50 added to a request of 1 MB",
        None,
    )
    what = "CPU seconds for 1,000 requests of 1 MB"
    for target in targets[1:]:
        yield Figure(what, target.name, series.value(target.name, cpu_per_1000_requests), "s")
    ratio = series.ratio(OURS, DUMP, cpu_per_1000_requests)
    yield Figure(what, "ccproxy by mitmdump", ratio, RATIO, CPU_LARGE_RATIO)


def _streams(targets: Sequence[Target], streams: int) -> Iterator[Figure]:
    events, every_ms = STREAMS[streams]
    rounds = (2 if streams > 1 else 3) if OPTIONS.quick else (5 if streams < 500 else 3)
    load = Load(
        partial(traffic.streamed, events=events, every_ms=every_ms), max(streams, 5), streams
    )
    series = measure(targets, load, rounds)
    at_once = f"{streams} stream{'s' if streams > 1 else ''} at once"
    limit = series.added(DUMP_STREAMED, DIRECT, first_byte_ms) + FIRST_EVENT_ROOM_MS
    what = f"time added to the first event, {at_once}"
    yield from _added(
        targets, partial(series.added, base=DIRECT, measure=first_byte_ms), what, limit
    )
    what = f"time added to an event, {at_once}"
    yield from _added(targets, partial(series.added, base=DIRECT, measure=event_ms), what, None)
    what = f"CPU seconds for 1,000 events, {at_once}"
    for target in targets[1:]:
        yield Figure(what, target.name, series.value(target.name, cpu_per_1000_events), "s")
    ratio = series.ratio(OURS, DUMP_STREAMED, cpu_per_1000_events)
    yield Figure(what, f"ccproxy by {DUMP_STREAMED}", ratio, RATIO, CPU_EVENT_RATIO)


def _added(
    targets: Sequence[Target], added: Callable[[str], float], what: str, limit: float | None
) -> Iterator[Figure]:
    for target in targets[1:]:
        yield Figure(
            what, target.name, added(target.name), "ms", limit if target.name == OURS else None
        )
