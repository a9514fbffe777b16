"""Memory of each process: at rest, after huge answers, after many large bodies, after many flows."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from tests.bench import process_tree, traffic
from tests.bench.result import OPTIONS, RATIO, Figure
from tests.bench.rounds import Load, measure
from tests.bench.servers import Target, mitmdump, ours, provider, warm_up

TITLE = "Memory of all processes"
PROXY_MB, ALL_MB = 100.0, 260.0
GROWTH_MB = 20.0
FRESH_RATIO = 1.3
HUGE_BYTES = 256 * 2**20
REST_S = 5.0


def figures() -> Iterator[Figure]:
    """Two minutes when quick, five otherwise."""
    yield from _at_rest()
    yield from _after_huge_answers()
    yield from _after_fresh_bodies()
    yield from _after_flows()


@contextmanager
def _running() -> Iterator[tuple[Target, Target]]:
    """Start mitmdump and ours, each with some requests behind it."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        upstream = stack.enter_context(provider())
        dump = stack.enter_context(mitmdump(upstream, Path(name), streamed=True))
        product = stack.enter_context(ours(upstream, Path(name) / "ours"))
        time.sleep(REST_S)
        yield dump, product


def _at_rest() -> Iterator[Figure]:
    with _running() as (dump, product):
        what = "memory at rest, resident"
        yield Figure(what, dump.name, dump.memory().rss_mb, "MB")
        for part, pids in product.parts().items():
            limit = PROXY_MB if part == "proxy" else None
            yield Figure(what, part, process_tree.memory(pids).rss_mb, "MB", limit)
        yield Figure(what, "all", product.memory().rss_mb, "MB", ALL_MB)
        what = "memory at rest, shared pages divided"
        for part, pids in product.parts().items():
            yield Figure(what, part, process_tree.memory(pids).pss_mb, "MB")
        yield Figure(what, "all", product.memory().pss_mb, "MB")


def _after_huge_answers() -> Iterator[Figure]:
    wait_s = 60.0
    what = f"memory after 8 × 256 MB answers, {wait_s:.0f} s later (shared pages divided)"
    make = partial(traffic.huge_answer, size_bytes=HUGE_BYTES)
    with _running() as (dump, product):
        for target in [product] if OPTIONS.quick else [dump, product]:
            warm_up(target)
            before = _pss_mb(target)
            measure([target], Load(make, 8, 4), 1)
            time.sleep(wait_s)
            limit = GROWTH_MB if target is product else None
            yield from _growth(what, target, before, limit)


def _after_fresh_bodies() -> Iterator[Figure]:
    what = "memory after 400 fresh bodies of 1 MB (shared pages divided)"
    with _running() as (dump, product):
        for target in [product] if OPTIONS.quick else [dump, product]:
            warm_up(target)
            before = _pss_mb(target)
            measure([target], Load(traffic.fresh, 400, 4), 1)
            after_mb = sum(_pss_mb(target).values())
            yield from _growth(what, target, before, None)
            limit = FRESH_RATIO if target is product else None
            ratio = after_mb / sum(before.values())
            yield Figure(what, f"{target.name}, by the start", ratio, RATIO, limit)


def _after_flows() -> Iterator[Figure]:
    many = 4000 if OPTIONS.quick else 10_000
    what = "memory after many flows (shared pages divided)"
    with _running() as (_, product):
        measure([product], Load(traffic.small, 1000, 16), 1)
        early_mb = product.memory().pss_mb
        yield Figure(what, "after 1,000", early_mb, "MB")
        measure([product], Load(traffic.small, many - 1000, 16), 1)
        late_mb = product.memory().pss_mb
        yield Figure(what, f"after {many:,}", late_mb, "MB", early_mb + GROWTH_MB)


def _growth(
    what: str, target: Target, before: dict[str, float], limit: float | None
) -> Iterator[Figure]:
    after = _pss_mb(target)
    if len(after) > 1:
        for part, after_mb in after.items():
            yield Figure(what, f"{part}, more than before", after_mb - before[part], "MB")
    more_mb = sum(after.values()) - sum(before.values())
    yield Figure(what, f"{target.name}, more than before", more_mb, "MB", limit)


def _pss_mb(target: Target) -> dict[str, float]:
    return {part: process_tree.memory(pids).pss_mb for part, pids in target.parts().items()}
