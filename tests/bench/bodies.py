"""Large bodies: the next turn of a conversation, and a megabyte that was never sent before."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.bench import traffic
from tests.bench.result import OPTIONS, RATIO, Figure
from tests.bench.rounds import (
    Load,
    Make,
    cpu_per_1000_requests,
    measure,
    p50_ms,
    proxy_cpu_per_1000_requests,
)
from tests.bench.servers import DUMP, OURS, Target, mitmdump, ours, provider, warm_up

TITLE = "Large requests, with everything on, against bare mitmdump"
NEXT_TURN_RATIO = 1.1
FRESH_RATIO = 2.2


def figures() -> Iterator[Figure]:
    """A minute when quick, four otherwise."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        upstream = stack.enter_context(provider())
        dump = stack.enter_context(mitmdump(upstream, folder, streamed=False))
        product = stack.enter_context(ours(upstream, folder / "ours"))
        targets = [dump, product]
        for target in targets:
            warm_up(target)
            # The first request of each conversation is not a next turn.
            measure([target], Load(traffic.next_turn, 8, 1), 1)
        turn = "a next turn (100 KB to 1 MB)"
        yield from _large(targets, turn, traffic.next_turn, NEXT_TURN_RATIO)
        yield from _large(targets, "a fresh body of 1 MB", traffic.fresh, FRESH_RATIO)


def _large(targets: list[Target], case: str, make: Make, limit: float) -> Iterator[Figure]:
    requests, rounds = (40, 3) if OPTIONS.quick else (120, 5)
    series = measure(targets, Load(make, requests, 1), rounds)
    what = f"CPU for 1,000 times {case}"
    for name in (DUMP, OURS):
        yield Figure(what, name, series.value(name, cpu_per_1000_requests), "s")
    proxy_s = series.value(OURS, proxy_cpu_per_1000_requests)
    yield Figure(what, f"{OURS}, proxy process", proxy_s, "s")
    ratio = partial(series.ratio, OURS, DUMP)
    yield Figure(what, "ccproxy by mitmdump", ratio(cpu_per_1000_requests), RATIO, limit)
    alone = ratio(proxy_cpu_per_1000_requests)
    yield Figure(what, "proxy process by mitmdump", alone, RATIO)
    for name in (DUMP, OURS):
        yield Figure(f"p50 of {case}", name, series.value(name, p50_ms), "ms")
