"""The jail: how long it takes to be ready, and what passes through it, beside bare mitmdump over
the same tunnels.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.bench import jail_client
from tests.bench.jail_servers import Bench, bare_reverse, bare_wireguard, ours, provider
from tests.bench.result import OPTIONS, RATIO, Figure

TITLE = "The jail, against bare mitmdump"
READY_S = 1.0
PYTHON_MB_PER_S = 8.0
SLOWER_THAN_FIRST_S = 1.0
REVERSE = "mitmdump reverse, no jail"
BARE = "mitmdump wireguard, {}"
OURS = "ccproxy, {}"
_TOOLS = {"wireguard-go": ("wireguard-go", "slirp4netns"), "python": ()}
Measured = dict[str, float]


def figures() -> Iterator[Figure]:
    """About two minutes; half a minute when quick."""
    kinds = [kind for kind, tools in _TOOLS.items() if all(map(shutil.which, tools))]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        upstream = stack.enter_context(provider(folder))
        reverse = stack.enter_context(bare_reverse(folder / "reverse", upstream))
        bare = stack.enter_context(bare_wireguard(folder / "bare", upstream))
        product = stack.enter_context(ours(folder / "ours", upstream))
        yield from _starts(product, kinds)
        ways: dict[str, Callable[[], Measured]] = {REVERSE: partial(_outside, reverse)}
        for kind in kinds:
            ways[BARE.format(kind)] = partial(_inside, bare, kind)
            ways[OURS.format(kind)] = partial(_inside, product, kind)
        yield from _traffic(_best(ways), kinds)


def _starts(product: Bench, kinds: list[str]) -> Iterator[Figure]:
    """From the command line to the end of `true`: everything that a jail adds to a command."""
    count = 5 if OPTIONS.quick else 40
    for kind in kinds:
        taken = []
        for _ in range(count + 1):
            began = time.perf_counter()
            product.jailed(kind, "true")
            taken.append(time.perf_counter() - began)
        yield Figure(
            "start and end of a jail",
            f"{kind}, median of {count}",
            statistics.median(taken[1:]),
            "s",
            READY_S,
        )
        later = max(taken[1:]) - taken[0]
        yield Figure(
            "slowest of the jails in a row after the first",
            f"{kind}",
            later,
            "s",
            SLOWER_THAN_FIRST_S,
        )


def _traffic(best: dict[str, Measured], kinds: list[str]) -> Iterator[Figure]:
    megabytes = _megabytes()
    for what, key in (("download", "down_s"), ("upload", "up_s")):
        for case, measured in best.items():
            yield Figure(
                f"{what}, {megabytes} MB over TLS", case, megabytes / measured[key], "MB/s"
            )
    for case, measured in best.items():
        yield Figure("small request on a kept connection, median", case, measured["p50_ms"], "ms")
    for kind in kinds:
        for what, key in (("download", "down_s"), ("upload", "up_s"), ("small request", "p50_ms")):
            ratio = best[OURS.format(kind)][key] / best[BARE.format(kind)][key]
            yield Figure(
                "time taken, against bare mitmdump over the same tunnel",
                f"{what}, {kind}",
                ratio,
                RATIO,
            )
    if "python" in kinds:
        a_megabyte_s = best[OURS.format("python")]["down_s"] / megabytes
        yield Figure(
            "a megabyte by the Python client",
            "download",
            a_megabyte_s * 1000,
            "ms",
            1000 / PYTHON_MB_PER_S,
        )


def _best(ways: dict[str, Callable[[], Measured]]) -> dict[str, Measured]:
    """The best of some rounds, interleaved: what disturbs a machine passes, what a way costs
    stays.
    """
    found: dict[str, list[Measured]] = {name: [] for name in ways}
    for _ in range(1 if OPTIONS.quick else 3):
        for name, measure in ways.items():
            found[name].append(measure())
    return {
        name: {key: min(run[key] for run in runs) for key in runs[0]}
        for name, runs in found.items()
    }


def _inside(bench: Bench, kind: str) -> Measured:
    return _parsed(bench.jailed(kind, *_client(443)))


def _outside(port: int) -> Measured:
    return _parsed(
        subprocess.run(
            _client(port), check=True, capture_output=True, text=True, timeout=300
        ).stdout
    )


def _client(port: int) -> list[str]:
    requests = 50 if OPTIONS.quick else 300
    return [
        sys.executable,
        "-I",
        str(Path(jail_client.__file__)),
        str(port),
        str(_megabytes()),
        str(requests),
    ]


def _megabytes() -> int:
    return 10 if OPTIONS.quick else 30


def _parsed(text: str) -> Measured:
    measured: Measured = json.loads(text)
    return measured
