"""Streams beside agents that ask: delays of events while 50 calls of MCP tools run at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median, quantiles

from tests.bench import traffic
from tests.bench.load import closed_loop, connected
from tests.bench.result import OPTIONS, Figure
from tests.bench.servers import Target, ours, provider, warm_up
from tests.environment import ROOT

TITLE = "Streamed events beside 50 calls of MCP tools at once"
CALLS = 50
STREAMS, EVERY_MS = 16, 25.0
ADDED_P99_MS = 10.0
_ALONE, _BESIDE = "alone", f"beside {CALLS} calls"


def figures() -> Iterator[Figure]:
    """Forty seconds when quick, three minutes otherwise."""
    events, rounds = (100, 3) if OPTIONS.quick else (200, 9)
    delays: dict[str, list[list[float]]] = {_ALONE: [], _BESIDE: []}
    answered = 0
    with (
        tempfile.TemporaryDirectory() as name,
        provider() as upstream,
        ours(upstream, Path(name) / "ours") as target,
    ):
        warm_up(target)
        for number in range(rounds):
            for case in (_ALONE, _BESIDE) if number % 2 else (_BESIDE, _ALONE):
                target.settle()
                calls = _asking(target) if case == _BESIDE else contextlib.nullcontext([0])
                with calls as number_of_calls:
                    delays[case].append(asyncio.run(_delays_s(target, events)))
                target.acknowledged += STREAMS
                answered += number_of_calls[0]
    yield from _shown(delays)
    yield Figure("calls answered in a round", _BESIDE, answered / rounds, "")


async def _delays_s(target: Target, events: int) -> list[float]:
    """Return the delay of each event of `STREAMS` streams at once."""
    async with connected(target.port, STREAMS) as connections:
        make = partial(traffic.streamed, target.port, events, EVERY_MS)
        answers = await closed_loop(connections, traffic.times(STREAMS, make))
    return [delay for answer in answers for delay in answer.event_delays]


def _shown(delays: dict[str, list[list[float]]]) -> Iterator[Figure]:
    for what, percent in (("p50", 50), ("p99", 99)):
        for case, rounds in delays.items():
            value_ms = median(_percentile_ms(each, percent) for each in rounds)
            yield Figure(f"delay of an event, {what}", case, value_ms, "ms")
    pairs = zip(delays[_BESIDE], delays[_ALONE], strict=True)
    added_ms = median(_percentile_ms(one, 99) - _percentile_ms(two, 99) for one, two in pairs)
    yield Figure("added to the p99 of events", _BESIDE, added_ms, "ms", ADDED_P99_MS)


def _percentile_ms(delays_s: list[float], percent: int) -> float:
    return quantiles(delays_s, n=100)[percent - 1] * 1e3


@contextlib.contextmanager
def _asking(target: Target) -> Iterator[list[int]]:
    """Have a process of its own call a tool, `CALLS` at once; the list has their number then."""
    assert target.interceptor is not None
    interceptor = target.interceptor
    token = (interceptor.config_dir / "mcp_token").read_text()
    command = [sys.executable, "-m", "tests.bench.mcp_calls", str(interceptor.mcp_port)]
    process = subprocess.Popen(
        [*command, str(CALLS)],
        cwd=ROOT,
        env={**os.environ, "MCP_TOKEN": token},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    calls = [0]
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        # The first call, which loads the server, was answered.
        assert process.stdout.readline() == "ready\n"
        yield calls
        process.stdin.close()
        calls[0] = int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
