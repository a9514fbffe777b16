"""Streams beside agents that ask: delays of events while 50 calls of MCP tools run at once."""

from __future__ import annotations

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
from tests.bench.result import OPTIONS, Figure
from tests.bench.rounds import Load, Sample, event_ms, sample
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
    make = partial(traffic.streamed, events=events, every_ms=EVERY_MS)
    load = Load(make, STREAMS, STREAMS)
    samples: dict[str, list[Sample]] = {_ALONE: [], _BESIDE: []}
    answered = 0
    with (
        tempfile.TemporaryDirectory() as name,
        provider() as upstream,
        ours(upstream, Path(name) / "ours") as target,
    ):
        warm_up(target)
        for number in range(rounds):
            for case in (_ALONE, _BESIDE) if number % 2 else (_BESIDE, _ALONE):
                calls = _asking(target) if case == _BESIDE else contextlib.nullcontext([0])
                with calls as number_of_calls:
                    samples[case].append(sample(target, load))
                answered += number_of_calls[0]
    yield from _shown(samples)
    yield Figure("calls answered in a round", _BESIDE, answered / rounds, "")


def _shown(samples: dict[str, list[Sample]]) -> Iterator[Figure]:
    for case, found in samples.items():
        yield Figure("delay of an event, p50", case, median(map(event_ms, found)), "ms")
    for case, found in samples.items():
        yield Figure("delay of an event, p99", case, median(map(_p99_ms, found)), "ms")
    pairs = zip(samples[_BESIDE], samples[_ALONE], strict=True)
    added_ms = median(_p99_ms(beside) - _p99_ms(alone) for beside, alone in pairs)
    yield Figure("added to the p99 of events", _BESIDE, added_ms, "ms", ADDED_P99_MS)


def _p99_ms(found: Sample) -> float:
    return quantiles(found.delays_s, n=100)[98] * 1e3


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
