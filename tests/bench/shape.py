"""CPU of shaping: the hook `shape` with its inner hooks and the signature, on the path's own objects.

The body is parsed before the clock starts, as the routing has parsed it. Its session is known: the
conversation's bytes are copied. The first request of a session costs an encoding more.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from statistics import median
from typing import Any, NamedTuple

from interceptor.hooks.table import HookConf, build_plan
from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.hook import Stage
from interceptor.pipeline.overrides import NONE
from interceptor.pipeline.plan import Plan
from interceptor.pipeline.runner import run_stage
from interceptor.shaping.active_shape import ActiveShape
from interceptor.shaping.billing_signer import BillingSigner
from providers.wire.core.jsonio import dumps, loads
from tests.bench.result import OPTIONS, RATIO, Figure
from tests.interceptor.exchanges import exchange
from tests.interceptor.proxied import KEYRING, provider
from tests.interceptor.shaping.reference import SHAPE_HOOK, active, shape_row, with_constants
from tests.providers.wire.speed import agent_request

TITLE = "Shaping of a request, signature included"
MAX_MS = 0.3
MAX_PARSES = 1.0
_OTHERS = (HookConf("outbound", "verbose_mode", 1), HookConf("outbound", "commitbee_compat", 3))


def figures() -> Iterator[Figure]:
    """Twenty seconds."""
    for body, limit, most in (
        (small_request(), MAX_MS, None),
        (agent_request(), None, MAX_PARSES),
    ):
        raw = dumps(body)
        cost = _measured(raw)
        what = f"CPU of a request of {len(raw) // 1000} KB"
        yield Figure(what, "hooks without a shape", cost.without_s * 1000, "ms")
        yield Figure(what, "the hook there, no shape active", cost.off_s * 1000, "ms")
        for case, more_s, has_target in (
            ("shaped, more", cost.shaped_s - cost.without_s, True),
            ("first of a session, more", cost.first_s - cost.without_s, False),
            ("shaped and signed, more", cost.signed_s - cost.without_s, False),
        ):
            yield Figure(what, case, more_s * 1000, "ms", limit if has_target else None)
            parses = more_s / cost.parse_s
            yield Figure(what, f"{case}, by one parse", parses, RATIO, most if has_target else None)


def small_request() -> dict[str, Any]:
    """Return the beginning of an agent's request, of 100 KB."""
    complete = agent_request()
    return {**complete, "messages": complete["messages"][:11], "tools": complete["tools"][:12]}


class _Cost(NamedTuple):
    """Medians in seconds of CPU."""

    without_s: float
    off_s: float
    shaped_s: float
    first_s: float
    signed_s: float
    parse_s: float


def _measured(raw: bytes) -> _Cost:
    """Measure in turns, so that a machine that slows down slows all cases."""
    without = build_plan(_OTHERS, Stage.OUTBOUND)
    off = build_plan((*_OTHERS, replace(SHAPE_HOOK, enabled=False)), Stage.OUTBOUND)
    on = build_plan((*_OTHERS, SHAPE_HOOK), Stage.OUTBOUND)
    shapes, signed = active(shape_row()), active(with_constants(shape_row()))
    cases: tuple[tuple[Plan, Mapping[str, ActiveShape], bool], ...] = (
        (without, {}, False),
        (off, {}, False),
        (on, shapes, False),
        (on, shapes, True),
        (on, signed, False),
    )
    signer = BillingSigner(KEYRING.decrypt)
    times: list[list[float]] = [[] for _ in (*cases, "parse")]
    with asyncio.Runner() as runner:
        for number in range(60 if OPTIONS.quick else 300):
            for index, (plan, taken, is_first) in enumerate(cases):
                ex = _opened(_of_another_session(raw, number) if is_first else raw)
                ex.shapes = taken
                times[index].append(runner.run(_run(plan, ex, signer)))
            begun = time.process_time()
            loads(raw)
            times[-1].append(time.process_time() - begun)
    return _Cost(*(median(series) for series in times))


def _of_another_session(raw: bytes, number: int) -> bytes:
    """Return the request with another frame, so that its conversation is encoded."""
    return raw.replace(b'"max_tokens":10', b'"max_tokens":%d' % (100 + number), 1)


def _opened(raw: bytes) -> Exchange:
    ex = exchange(data=raw, headers={"anthropic-version": "2023-06-01", "user-agent": "sdk/1"})
    ex.provider = provider("p", 1)
    ex.body.peek()
    return ex


async def _run(plan: Plan, ex: Exchange, signer: BillingSigner) -> float:
    gc.collect(0)
    begun = time.process_time()
    await run_stage(plan, ex, NONE, [])
    if ex.shaped is not None:
        signer.sign(ex.shaped, ex.body)
    return time.process_time() - begun
