"""Streamed responses: CPU time for an event, delays, and memory of many streams at once."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.bench import traffic
from tests.bench.load import Answer, connected
from tests.bench.result import OPTIONS, RATIO, Figure
from tests.bench.rounds import (
    Load,
    Sample,
    cpu_per_1000_events,
    event_ms,
    first_byte_ms,
    measure,
)
from tests.bench.servers import (
    DIRECT,
    DUMP_STREAMED,
    OURS,
    Target,
    mitmdump,
    ours,
    provider,
    warm_up,
)

TITLE = "Streamed responses, with everything on, against mitmdump that streams"
CPU_RATIO = {1: 1.1, 32: 0.9, 500: 0.95}
FIRST_EVENT_ROOM_MS = 0.5
STREAMS = {1: (100, 10.0), 32: (150, 25.0), 500: (40, 250.0)}
"""Connections to (events of each stream, milliseconds between two of them)."""
STREAM_KB = 250.0
_HELD = 500
_HELD_EVENTS, _HELD_EVERY_MS = 40, 250.0


def figures() -> Iterator[Figure]:
    """Two minutes when quick, six otherwise."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        upstream = stack.enter_context(provider())
        dump = stack.enter_context(mitmdump(upstream, folder, streamed=True))
        product = stack.enter_context(ours(upstream, folder / "ours"))
        targets = [upstream, dump, product]
        for target in targets:
            warm_up(target)
        yield from _held(dump)
        yield from _held(product)
        for streams in STREAMS:
            yield from _streams(targets, streams)


def _streams(targets: Sequence[Target], streams: int) -> Iterator[Figure]:
    events, every_ms = STREAMS[streams]
    make = partial(traffic.streamed, events=events, every_ms=every_ms)
    series = measure(targets, Load(make, max(streams, 5), streams), _rounds(streams))
    at_once = f"{streams} stream{'s' if streams > 1 else ''} at once"
    what = f"CPU for 1,000 events, {at_once}"
    for name in (DUMP_STREAMED, OURS):
        yield Figure(what, name, series.value(name, cpu_per_1000_events), "s")
    proxy_s = series.value(OURS, _proxy_cpu_per_1000_events)
    yield Figure(what, f"{OURS}, proxy process", proxy_s, "s")
    ratio = series.ratio(OURS, DUMP_STREAMED, cpu_per_1000_events)
    yield Figure(what, f"ccproxy by {DUMP_STREAMED}", ratio, RATIO, CPU_RATIO[streams])
    what = f"time added to the first event, {at_once}"
    limit = series.added(DUMP_STREAMED, DIRECT, first_byte_ms) + FIRST_EVENT_ROOM_MS
    yield Figure(what, DUMP_STREAMED, limit - FIRST_EVENT_ROOM_MS, "ms")
    yield Figure(what, OURS, series.added(OURS, DIRECT, first_byte_ms), "ms", limit)
    for name in (DUMP_STREAMED, OURS):
        added_ms = series.added(name, DIRECT, event_ms)
        yield Figure(f"time added to an event, {at_once}", name, added_ms, "ms")


def _rounds(streams: int) -> int:
    if OPTIONS.quick:
        return 2 if streams > 1 else 3
    return 5 if streams < 500 else 3


def _proxy_cpu_per_1000_events(sample: Sample) -> float:
    return sample.proxy_cpu_s / len(sample.delays_s) * 1000


def _held(target: Target) -> Iterator[Figure]:
    """Measure what each of 500 concurrent streams holds."""
    before_mb = target.memory().pss_mb
    peak_mb, answers = asyncio.run(_hold(target))
    assert [answer.status_code for answer in answers] == [200] * _HELD
    target.acknowledged += _HELD
    held_kb = (peak_mb - before_mb) * 1024 / _HELD
    limit = STREAM_KB if target.name == OURS else None
    yield Figure(f"memory of each of {_HELD} streams at once", target.name, held_kb, "KB", limit)


async def _hold(target: Target) -> tuple[float, Sequence[Answer]]:
    """Return the most memory while 500 streams run, looked at twice a second."""
    make = partial(traffic.streamed, target.port, _HELD_EVENTS, _HELD_EVERY_MS)
    async with connected(target.port, _HELD) as connections:
        running = asyncio.gather(*(connection.ask(make()) for connection in connections))
        peak_mb = 0.0
        while not running.done():
            peak_mb = max(peak_mb, target.memory().pss_mb)
            await asyncio.sleep(0.5)
        return peak_mb, await running
