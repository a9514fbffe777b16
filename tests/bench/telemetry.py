"""CPU of the export of spans: on, on with a collector that is stopped, and off."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
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
    sample_at_once,
    spread,
)
from tests.bench.servers import Target, ours_set, provider, warm_up
from tests.environment import ROOT

TITLE = "Export of spans, against none"
OFF, OFF_TOO, ON = "off", "off too", "on"
MORE = 1.03
"""CPU with the export on, to that without."""
_SENT_LATER_S = WINDOW_S + 0.5
"""Spans wait for others, so a sample ends this much after the last record."""
_AT_WORK, _STOPPED = "collector at work", "collector stopped"
_Samples = dict[str, list[Sample]]


def figures() -> Iterator[Figure]:
    """Four minutes when quick, twenty otherwise.

    Three servers are asked at once: two without the export, of which one to the other says what a
    ratio is worth, and one with it. Processes of the same program differ by a few percent for as
    long as they live (addresses, hashes), so they are started anew several times.
    """
    starts, rounds, requests = (3, 4, 320) if OPTIONS.quick else (8, 6, 640)
    load = Load(traffic.small, requests, 16)
    samples: dict[str, _Samples] = {_AT_WORK: {}, _STOPPED: {}}
    loaded = spans_a_request = 0.0
    with provider() as upstream, _collector() as (collector, port):
        for _ in range(starts):
            with _servers(upstream, port) as targets:
                before = _spans(collector)
                asked_before = targets[-1].acknowledged
                _measure(targets, load, rounds, samples[_AT_WORK])
                asked = targets[-1].acknowledged - asked_before
                spans_a_request = (_spans(collector) - before) / asked
                collector.send_signal(signal.SIGSTOP)
                try:
                    _measure(targets, load, rounds, samples[_STOPPED])
                finally:
                    collector.send_signal(signal.SIGCONT)
                loaded = max(loaded, _with_grpc(targets[0]))
    yield Figure("processes that loaded gRPC", OFF, loaded, "", 0)
    yield Figure("spans that the collector got", "by request", spans_a_request, "")
    for case, found in samples.items():
        yield from _figures_of(Series(found), case)


def _figures_of(series: Series, case: str) -> Iterator[Figure]:
    of = cpu_with_index_per_1000_requests
    for name in (OFF, ON):
        yield Figure(f"CPU for 1,000 requests of 2 KB, {case}", name, series.value(name, of), "s")
    ratios = spread(series.ratios(ON, (OFF, OFF_TOO), of))
    yield Figure("CPU, on by off", case, ratios.median, RATIO, MORE)
    yield Figure("CPU, on by off, 95 % between", f"{case}: low", ratios.low, "")
    yield Figure("CPU, on by off, 95 % between", f"{case}: high", ratios.high, "")
    yield Figure("CPU, off by off", case, series.ratio(OFF_TOO, OFF, of), RATIO)
    yield Figure("p50, on by off", case, series.ratio(ON, OFF, p50_ms), RATIO)
    yield Figure("p99, on by off", case, series.ratio(ON, OFF, p99_ms), RATIO)


def _measure(targets: Sequence[Target], load: Load, rounds: int, samples: _Samples) -> None:
    """Add rounds to the samples of each target."""
    for _ in range(rounds):
        for name, sample in sample_at_once(targets, load, _SENT_LATER_S).items():
            samples.setdefault(name, []).append(sample)


@contextlib.contextmanager
def _servers(upstream: Target, port: int) -> Iterator[list[Target]]:
    """Three servers that have loaded what they need; the last one exports to this port."""
    exporting = f"otel: {{enabled: true, endpoint: 'http://127.0.0.1:{port}'}}\n"
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        targets: list[Target] = []
        for kind, settings in ((OFF, ""), (OFF_TOO, ""), (ON, exporting)):
            opened = ours_set(upstream, Path(name) / kind.replace(" ", "-"), settings, kind)
            targets.append(stack.enter_context(opened))
        for target in targets:
            warm_up(target)
        # The first spans load gRPC and connect.
        time.sleep(_SENT_LATER_S)
        yield targets


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
