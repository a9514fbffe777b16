"""Memory: of a process that has seen many flows, and of many streams at once."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.bench import traffic
from tests.bench.load import Answer, connected
from tests.bench.result import OPTIONS, Figure
from tests.bench.rounds import Load, measure
from tests.bench.servers import DUMP_STREAMED, OURS, Target, mitmdump, ours, provider

GROWTH_MB = 20.0
STREAM_KB = 250.0
STREAMS = 500
_EVENTS, _EVERY_MS = 40, 250.0


def flows_figures() -> Iterator[Figure]:
    """Memory at the start, after 1,000 and after 10,000 flows, of fresh processes."""
    many = 4000 if OPTIONS.quick else 10_000
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        upstream = stack.enter_context(provider())
        dump = stack.enter_context(mitmdump(upstream, Path(name), streamed=True))
        product = stack.enter_context(ours(upstream, Path(name) / "ours"))
        for target in (dump, product):
            if target is dump and OPTIONS.quick:
                continue
            what = f"memory of {target.name}"
            yield Figure(what, "at the start", target.rss_mb(), "MB")
            measure([target], Load(traffic.small, 1000, 16), 1)
            early_mb = target.rss_mb()
            yield Figure(what, "after 1,000 flows", early_mb, "MB")
            measure([target], Load(traffic.small, many - 1000, 16), 1)
            limit = early_mb + GROWTH_MB if target is product else None
            yield Figure(what, f"after {many:,} flows", target.rss_mb(), "MB", limit)


def streams_figures() -> Iterator[Figure]:
    """What each of 500 concurrent streams holds."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        upstream = stack.enter_context(provider())
        dump = stack.enter_context(mitmdump(upstream, Path(name), streamed=True))
        product = stack.enter_context(ours(upstream, Path(name) / "ours"))
        for target in (dump, product):
            measure([target], Load(traffic.small, 100, 16), 1)
            before_mb = target.rss_mb()
            peak_mb, answers = asyncio.run(_hold(target))
            assert [answer.status_code for answer in answers] == [200] * STREAMS
            limit = STREAM_KB if target.name == OURS else None
            held_kb = (peak_mb - before_mb) * 1024 / STREAMS
            name_of_case = target.name if target.name == OURS else DUMP_STREAMED
            yield Figure(
                f"memory of each of {STREAMS} streams at once", name_of_case, held_kb, "KB", limit
            )


async def _hold(target: Target) -> tuple[float, Sequence[Answer]]:
    """The most memory while 500 streams run, looked at twice a second."""
    make = partial(traffic.streamed, target.port, _EVENTS, _EVERY_MS)
    async with connected(target.port, STREAMS) as connections:
        running = asyncio.gather(*(connection.ask(make()) for connection in connections))
        peak_mb = 0.0
        while not running.done():
            peak_mb = max(peak_mb, target.rss_mb())
            await asyncio.sleep(0.5)
        return peak_mb, await running
