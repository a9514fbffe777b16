"""Hundreds of streams for minutes: every one must end well, and memory must stay where it is.

A minute by itself; the figure of the docs is of ten: `make bench ARGS="soak --soak-s 600"`.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from tests.bench import traffic
from tests.bench.load import Connection, connect
from tests.bench.result import OPTIONS, Figure
from tests.bench.servers import Target, ours, provider

TITLE = "Soak: 500 streams at once, each followed by the next"
STREAMS = 500
EVENTS, EVERY_MS = 60, 500.0
GROWTH_MB_PER_MIN = 0.5
_SAMPLE_EVERY_S = 5.0
_REASONS = (
    "select status_code, error, count(*) as flows from flows_flow where error != '' group by 1, 2"
    " limit 5"
)
_SETTLED_AFTER = 0.3
"""The part of the soak after which memory must not grow any more: streams begin together and spread
out.
"""


@dataclass(slots=True)
class _Soak:
    ends_at: float
    finished: int = 0
    errors: list[str] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)


def figures() -> Iterator[Figure]:
    """Run the soak."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        upstream = stack.enter_context(provider())
        product = stack.enter_context(ours(upstream, Path(name) / "ours"))
        soak = asyncio.run(_run(product, OPTIONS.soak_s))
        product.acknowledged = soak.finished
        product.settle()
        reasons = product.interceptor.rows(_REASONS) if product.interceptor else []
        for line in (*soak.errors[:5], *reasons):
            print(f"    {line}")
        what = f"{OPTIONS.soak_s:.0f} s of {STREAMS} streams"
        yield Figure(what, "streams that ended", soak.finished, "")
        yield Figure(what, "events passed on", soak.finished * EVENTS, "")
        yield Figure(what, "streams that failed", len(soak.errors), "", 0)
        yield Figure(
            what, "flows acknowledged and not recorded", soak.finished - product.recorded(), "", 0
        )
        yield from _memory(what, soak.memory_mb)


def _memory(what: str, samples: list[float]) -> Iterator[Figure]:
    settled = samples[int(len(samples) * _SETTLED_AFTER) :]
    third = max(1, len(settled) // 3)
    early_mb, late_mb = median(settled[:third]), median(settled[-third:])
    # The thirds' middles lie two thirds apart.
    minutes = (len(settled) - third) * _SAMPLE_EVERY_S / 60
    yield Figure(what, "memory, first third once settled", early_mb, "MB")
    yield Figure(what, "memory, last third", late_mb, "MB")
    growth = (late_mb - early_mb) / minutes
    yield Figure(what, "growth of memory", growth, "MB/min", GROWTH_MB_PER_MIN)


async def _run(target: Target, seconds: float) -> _Soak:
    soak = _Soak(time.monotonic() + seconds)
    clients = [asyncio.create_task(_client(target, soak, number)) for number in range(STREAMS)]
    while time.monotonic() < soak.ends_at:
        await asyncio.sleep(_SAMPLE_EVERY_S)
        soak.memory_mb.append(target.memory().pss_mb)
    await asyncio.gather(*clients)
    return soak


async def _client(target: Target, soak: _Soak, number: int) -> None:
    """One stream after the other, over one connection as long as it lasts."""
    await asyncio.sleep(number / STREAMS * EVENTS * EVERY_MS / 1000)  # not all at the same moment
    connection: Connection | None = None
    while time.monotonic() < soak.ends_at:
        try:
            connection = connection or (await connect(target.port, 1))[0]
            answer = await connection.ask(traffic.streamed(target.port, EVENTS, EVERY_MS))
            if answer.status_code != 200 or len(answer.event_delays) != EVENTS:
                raise ConnectionError(
                    f"status {answer.status_code}, {len(answer.event_delays)} of {EVENTS} events"
                )
        except (OSError, TimeoutError) as exc:
            soak.errors.append(f"{type(exc).__name__}: {exc}")
            if connection is not None:
                connection.close()
            connection = None
        else:
            soak.finished += 1
    if connection is not None:
        connection.close()
