"""CPU of the export of spans: on, on with a collector that is stopped, and off."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from flows.telemetry.outbox import WINDOW_S
from tests.bench import process_tree, traffic
from tests.bench.result import OPTIONS, RATIO, Figure
from tests.bench.rounds import (
    Load,
    Sample,
    Series,
    cpu_with_index_per_1000_requests,
    p50_ms,
    p99_ms,
)
from tests.bench.rounds import sample as sample_of
from tests.bench.servers import Target, ours_set, provider, warm_up
from tests.environment import ROOT

TITLE = "Export of spans, against none"
OFF, ON = "off", "on"
MORE = 1.03
"""CPU with the export on, to that without."""
_SENT_LATER_S = WINDOW_S + 0.5
"""Spans wait for others, so a sample ends this much after the last record."""


def figures() -> Iterator[Figure]:
    """Two minutes when quick, ten otherwise."""
    requests, rounds = (400, 5) if OPTIONS.quick else (1000, 15)
    load = Load(traffic.small, requests, 16)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        upstream = stack.enter_context(provider())
        collector, port = stack.enter_context(_collector())
        exporting = f"otel: {{enabled: true, endpoint: 'http://127.0.0.1:{port}'}}\n"
        off = stack.enter_context(ours_set(upstream, folder / OFF, "", OFF))
        on = stack.enter_context(ours_set(upstream, folder / ON, exporting, ON))
        targets = (off, on)
        for target in targets:
            warm_up(target)
        yield Figure("processes that loaded gRPC", OFF, _with_grpc(off), "", 0)
        series = _measured(targets, load, rounds)
        for target in targets:
            used_s = series.value(target.name, cpu_with_index_per_1000_requests)
            yield Figure("CPU for 1,000 requests of 2 KB", target.name, used_s, "s")
        yield from _ratios(series, "collector at work")
        yield Figure(
            "spans that the collector got", "by request", _spans(collector) / on.acknowledged, ""
        )
        collector.send_signal(signal.SIGSTOP)
        try:
            yield from _ratios(_measured(targets, load, rounds), "collector stopped")
        finally:
            collector.send_signal(signal.SIGCONT)


def _ratios(series: Series, case: str) -> Iterator[Figure]:
    rows: tuple[tuple[str, Callable[[Sample], float], float | None], ...] = (
        ("CPU, on by off", cpu_with_index_per_1000_requests, MORE),
        ("p50, on by off", p50_ms, None),
        ("p99, on by off", p99_ms, None),
    )
    for what, of, limit in rows:
        yield Figure(what, case, series.ratio(ON, OFF, of), RATIO, limit)


def _measured(targets: Sequence[Target], load: Load, rounds: int) -> Series:
    samples: dict[str, list[Sample]] = {target.name: [] for target in targets}
    for number in range(rounds):
        for target in targets if number % 2 else reversed(targets):
            samples[target.name].append(sample_of(target, load, _SENT_LATER_S))
    return Series(samples)


@contextlib.contextmanager
def _collector() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.collector"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def _spans(collector: subprocess.Popen[bytes]) -> int:
    assert collector.stdin is not None
    assert collector.stdout is not None
    time.sleep(_SENT_LATER_S)
    collector.stdin.write(b"\n")
    collector.stdin.flush()
    return int(collector.stdout.readline())


def _with_grpc(target: Target) -> int:
    """Return the number of the target's processes that have gRPC's library in memory."""
    found = 0
    for pid in process_tree.tree(target.pid):
        with contextlib.suppress(OSError):
            found += "cygrpc" in Path(f"/proc/{pid}/maps").read_text()
    return found
