"""What it takes to start, to do nothing, and to ask for the state."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.bench import process_tree
from tests.bench.result import OPTIONS, Figure
from tests.bench.servers import Target, make_interceptor, mitmdump, ours, provider, warm_up
from tests.e2e.process import Interceptor

TITLE = "Start, rest and commands"
START_S = 1.0
COMMAND_S = 0.4
IDLE_MS_PER_S = 1.5
_COMMANDS = (("status",), ("flows", "list"), ("flows", "--help"))


def figures() -> Iterator[Figure]:
    """One minute."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        upstream = stack.enter_context(provider())
        yield from _starts(make_interceptor(upstream, Path(name) / "started"))
        dump = stack.enter_context(mitmdump(upstream, Path(name), streamed=False))
        product = stack.enter_context(ours(upstream, Path(name) / "ours"))
        for target in (dump, product):
            warm_up(target)
        yield from _idle(dump, product)
        assert product.interceptor is not None
        for words in _COMMANDS:
            yield from _command(product.interceptor, words)


def _starts(interceptor: Interceptor) -> Iterator[Figure]:
    """Measure starts until /health answers; the first one makes the database."""
    # As for a user: the first start compiles the modules, the others find them compiled.
    interceptor.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    times_s: list[float] = []
    for _ in range(4 if OPTIONS.quick else 10):
        began = time.perf_counter()
        interceptor.launch()
        while not _is_healthy(interceptor.port):
            time.sleep(0.01)
        times_s.append(time.perf_counter() - began)
        interceptor.wait_for_start()
        interceptor.stop()
    what = "start until /health answers"
    yield Figure(what, "with a new database", times_s[0], "s")
    yield Figure(what, "with its database, median", median(times_s[1:]), "s", START_S)


def _is_healthy(port: int) -> bool:
    """Tell if /health answers; a client that needs more CPU time would slow the start."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        return client.recv(64).startswith(b"HTTP/1.1 200")
    return False


def _idle(dump: Target, product: Target) -> Iterator[Figure]:
    seconds = 10.0 if OPTIONS.quick else 30.0
    product.settle()
    parts = {f"{part} of ccproxy": pids for part, pids in product.parts().items()}
    parts[dump.name] = dump.parts()["proxy"]
    before = {part: process_tree.cpu_s(pids) for part, pids in parts.items()}
    time.sleep(seconds)
    used = {part: process_tree.cpu_s(pids) - before[part] for part, pids in parts.items()}
    what = "CPU of doing nothing"
    for part, cpu_s in used.items():
        yield Figure(what, part, cpu_s / seconds * 1000, "ms/s")
    total_s = sum(used.values()) - used[dump.name]
    yield Figure(what, "ccproxy, all", total_s / seconds * 1000, "ms/s", IDLE_MS_PER_S)


class _Run(NamedTuple):
    wall_s: float
    cpu_s: float


def _command(interceptor: Interceptor, words: tuple[str, ...]) -> Iterator[Figure]:
    runs = [_run(interceptor, words) for _ in range(3 if OPTIONS.quick else 7)]
    what = f"ccproxy {' '.join(words)}"
    yield Figure(what, "time", median(run.wall_s for run in runs), "s", COMMAND_S)
    yield Figure(what, "CPU", median(run.cpu_s for run in runs), "s")


def _run(interceptor: Interceptor, words: tuple[str, ...]) -> _Run:
    program = str(Path(sys.executable).with_name("ccproxy"))
    began = time.perf_counter()
    process = subprocess.Popen(
        [program, *words], env=interceptor.environ, stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, f"ccproxy {words} failed"
    process.returncode = 0
    return _Run(time.perf_counter() - began, used.ru_utime + used.ru_stime)
