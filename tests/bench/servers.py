"""The processes that are compared: the scripted provider itself, bare mitmdump in two ways, and
ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench import process_tree, traffic
from tests.bench.load import closed_loop, connected
from tests.bench.process_tree import Memory
from tests.e2e.process import ROOT, Interceptor, running, wait_until
from tests.ports import free_port

DIRECT = "direct"
DUMP = "mitmdump"
DUMP_STREAMED = "mitmdump, stream = True"
OURS = "ccproxy"

_STREAM_ADDON = "def responseheaders(flow):\n    flow.response.stream = True\n"
_CONFIG = """\
providers:
  bench:
    type: anthropic
    scheme: http
    host: 127.0.0.1
    port: {port}
    auth: {{type: command, command: "echo sk-ant-api03-bench-{key}"}}
"""
SETTLE_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 10.0
WARM_UP_REQUESTS = 100
IDLE_WITHIN_S, IDLE_S = 0.2, 0.006
"""Processes that took less CPU time than this within this time are at rest."""


@dataclass
class Target:
    """Something that answers on a port. `interceptor` is set for ours."""

    name: str
    port: int
    pid: int
    interceptor: Interceptor | None = None
    acknowledged: int = 0
    """Answers that clients got."""

    def settle(self) -> None:
        """Return once everything that was acknowledged is recorded, linked and indexed for the
        search: that is part of what it costs.
        """
        if self.interceptor is None:
            return
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        self.wait_for_record(deadline)
        self._wait_for("searched is null", deadline)
        self._wait_until_idle(deadline)

    def wait_for_record(self, deadline: float | None = None) -> None:
        """Return once everything that was acknowledged is recorded and linked.

        Texts are indexed later, in a pause of the traffic.
        """
        if self.interceptor is None:
            return
        deadline = deadline or time.monotonic() + SETTLE_TIMEOUT_S
        while (recorded := self.recorded()) < self.acknowledged:
            assert time.monotonic() < deadline, (
                f"{recorded} of {self.acknowledged} flows are recorded"
            )
            time.sleep(0.05)
        self._wait_for("indexed is null", deadline)

    def _wait_for(self, condition: str, deadline: float) -> None:
        """Return once no ended flow is left of which an SQL condition is true."""
        assert self.interceptor is not None
        left = f"select count(*) as n from flows_flow where state <> 'live' and {condition}"
        while count := self.interceptor.rows(left)[0]["n"]:
            assert time.monotonic() < deadline, f"{count} flows: {condition}"
            time.sleep(0.05)

    def _wait_until_idle(self, deadline: float) -> None:
        """Return once the family does nothing but look around: a row is not the last of it."""
        last_s, used_s = self.cpu_s(), IDLE_S
        while used_s >= IDLE_S:
            assert time.monotonic() < deadline, "the processes never come to rest"
            time.sleep(IDLE_WITHIN_S)
            now_s = self.cpu_s()
            used_s, last_s = now_s - last_s, now_s

    def recorded(self) -> int:
        """Finished flows in the database."""
        assert self.interceptor is not None
        return int(
            self.interceptor.rows("select count(*) as n from flows_flow where state = 'done'")[0][
                "n"
            ]
        )

    def cpu_s(self) -> float:
        """CPU time of its processes so far."""
        return process_tree.cpu_s(process_tree.tree(self.pid))

    def proxy_cpu_s(self) -> float:
        """CPU time so far of the processes that accept requests."""
        return process_tree.cpu_s(self.parts()["proxy"])

    def parts(self) -> dict[str, list[int]]:
        """The processes' pids, by what they do; one "proxy" for what is not ours."""
        if self.interceptor is None:
            return {"proxy": process_tree.tree(self.pid)}
        return {
            "supervisor": [self.interceptor.pid],
            "nursery": sorted(self.interceptor.children("nursery_main")),
            "proxy": sorted(self.interceptor.proxies),
            "recorder": [self.interceptor.recorder_pid],
            "console": [self.interceptor.console_pid] if self.interceptor.has_console else [],
        }

    def memory(self) -> Memory:
        """Memory of its processes now."""
        return process_tree.memory(process_tree.tree(self.pid))


@contextlib.contextmanager
def provider() -> Iterator[Target]:
    """The scripted provider, asked without a proxy between."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.provider"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        yield Target(DIRECT, int(process.stdout.readline()), process.pid)
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def mitmdump(upstream: Target, folder: Path, *, streamed: bool) -> Iterator[Target]:
    """`mitmdump --mode reverse` as it comes, or with an addon of one line that streams every
    answer.
    """
    port, confdir = free_port(), folder / f"mitmdump-{streamed}"
    confdir.mkdir()
    mode = f"reverse:http://127.0.0.1:{upstream.port}@127.0.0.1:{port}"
    command = [
        str(Path(sys.executable).with_name("mitmdump")),
        "--set",
        f"confdir={confdir}",
        "--mode",
        mode,
    ]
    if streamed:
        (confdir / "streamed.py").write_text(_STREAM_ADDON)
        command += ["-s", str(confdir / "streamed.py")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: _listens(port), "mitmdump listens")
        yield Target(DUMP_STREAMED if streamed else DUMP, port, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except (
            subprocess.TimeoutExpired
        ):  # after hundreds of thousands of events mitmdump once lost the signal
            process.kill()
            process.wait()


@contextlib.contextmanager
def ours(upstream: Target, folder: Path, *arguments: str) -> Iterator[Target]:
    """`runinterceptor` with its console, the default hooks, a credential that is injected, and the
    record on.
    """
    with running(make_interceptor(upstream, folder, *arguments)) as proxy:
        yield Target(OURS, proxy.port, proxy.pid, proxy)


@contextlib.contextmanager
def ours_with(upstream: Target, folder: Path, more: str) -> Iterator[Target]:
    """Ours, with further providers: lines of YAML below `providers`."""
    folder.mkdir(exist_ok=True)
    config = _CONFIG.format(port=upstream.port, key="7f" * 40) + more
    with running(Interceptor(folder, config)) as proxy:
        yield Target(OURS, proxy.port, proxy.pid, proxy)


@contextlib.contextmanager
def ours_set(upstream: Target, folder: Path, settings: str, name: str) -> Iterator[Target]:
    """Ours with further settings, lines of YAML, under a name of its own."""
    folder.mkdir(exist_ok=True)
    config = _CONFIG.format(port=upstream.port, key="7f" * 40) + settings
    with running(Interceptor(folder, config)) as proxy:
        yield Target(name, proxy.port, proxy.pid, proxy)


def make_interceptor(upstream: Target, folder: Path, *arguments: str) -> Interceptor:
    """Return ours, which is not started yet."""
    folder.mkdir(exist_ok=True)
    config = _CONFIG.format(port=upstream.port, key="7f" * 40)
    return Interceptor(folder, config, *arguments)


def warm_up(target: Target) -> None:
    """Let the first requests pay for what is loaded late."""
    asyncio.run(_ask_some(target))
    target.acknowledged += WARM_UP_REQUESTS
    target.settle()


async def _ask_some(target: Target) -> None:
    async with connected(target.port, 4) as connections:
        make = traffic.times(WARM_UP_REQUESTS, lambda: traffic.small(target.port))
        await closed_loop(connections, make)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
