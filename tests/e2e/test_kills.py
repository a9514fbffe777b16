"""A process that is killed again and again costs no flow that a client was answered for.

CCPROXY_TEST_KILLS sets the number of kills of each process.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e import raw
from tests.e2e.conftest import config_for
from tests.e2e.process import Interceptor, running, wait_until
from tests.e2e.steady_load import CLIENTS, Load, answer, counted_wrongly, losses
from tests.e2e.test_stream import ask, delta
from tests.fakes.upstream import Upstream, sse
from tests.patience import PATIENCE_S

KILLS = int(os.environ.get("CCPROXY_TEST_KILLS", "3"))
pytestmark = pytest.mark.timeout(300 + 60 * KILLS)
BETWEEN = 10
"""Answers between two kills."""
PATIENT = {"CCPROXY_SHUTDOWN_TIMEOUT_SECONDS": str(PATIENCE_S)}
"""Else a machine that is busy enough cuts what it would have answered."""


@pytest.fixture(scope="module")
def site(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interceptor]:
    folder = tmp_path_factory.mktemp("kills")
    with running(Interceptor(folder, config_for(upstream, folder), **PATIENT)) as process:
        yield process


@pytest.fixture(autouse=True)
def _fresh_answers(upstream: Upstream, _fresh_scripts: None) -> None:
    upstream.scripts["/v1/messages"] = answer


class Life:
    """The process of a role that runs now."""

    def __init__(self, site: Interceptor, main: str) -> None:
        self._site, self._main = site, main
        (self.pid,) = site.children(main)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def has_successor(self) -> bool:
        return bool(self._site.children(self._main) - {self.pid})


def kill_again_and_again(
    main: str, load: Load, works: Callable[[], object], kills: int = KILLS
) -> None:
    """Kill the process with this main so many times, each time that its successor works."""
    for _ in range(kills):
        load.go_on(BETWEEN)
        life = Life(load.site, main)
        # What is acknowledged in this instant must be kept already.
        load.at_next_answer(life.kill)
        wait_until(life.has_successor, "it is started again")
        wait_until(works, "it works again")
    load.go_on(BETWEEN)


def report(name: str, load: Load, site: Interceptor, kills: int = KILLS) -> None:
    lost = losses(site, load)
    print(
        f"{name}: {kills} kills, {len(load.acknowledged)} acknowledged, {len(load.broken)} broken; "
        f"missing {len(lost.missing)}, failed {len(lost.failed)}, twice {len(lost.twice)}, "
        f"without bodies {len(lost.bodiless)}, counted wrongly {counted_wrongly(site)}"
    )
    assert not lost
    assert load.refused == []
    assert counted_wrongly(site) == 0


def test_kills_of_the_proxy(site: Interceptor) -> None:
    with Load(site, "proxy-killed") as load:
        kill_again_and_again("proxy_main", load, lambda: answers(site.port, "/health"))
    # Each client loses at most what it had under way when the proxy was killed.
    assert len(load.broken) <= CLIENTS * KILLS
    report("proxy", load, site)


def test_kills_of_the_recorder(site: Interceptor) -> None:
    with Load(site, "recorder-killed") as load:
        kill_again_and_again("recorder_main", load, lambda: is_recorded(load))
    assert load.broken == []
    report("recorder", load, site)


def test_kills_of_the_console(site: Interceptor) -> None:
    # No request passes through it: the second kill meets a successor, a third one nothing new.
    kills = (KILLS + 1) // 2
    with Load(site, "console-killed") as load:
        kill_again_and_again("console_main", load, lambda: answers(site.console_port, "/"), kills)
    assert load.broken == []
    report("console", load, site, kills)


def is_recorded(load: Load) -> bool:
    """Tell if the newest answer is in the record."""
    newest = load.acknowledged[-1].flow_id
    return bool(load.site.flows("id = ?", newest))


def answers(port: int, path: str) -> bool:
    headers = [("Host", f"127.0.0.1:{port}"), ("Connection", "close")]
    try:
        return raw.exchange(port, raw.request("GET", path, headers)).status < 500
    except (EOFError, OSError):
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_stop_under_load(upstream: Upstream, tmp_path: Path, number: signal.Signals) -> None:
    site = Interceptor(tmp_path, config_for(upstream, tmp_path), "--no-console", **PATIENT).start()
    stop_under_load(site, number)


def test_a_stop_of_the_one_whose_processes_were_killed(site: Interceptor) -> None:
    """The last one here that needs it; with SIGTERM, as the service's manager sends it."""
    stop_under_load(site, signal.SIGTERM)


def stop_under_load(site: Interceptor, number: signal.Signals) -> None:
    with Load(site, f"stopped by {number.name}") as load:
        load.go_on(2 * BETWEEN)
        os.kill(site.pid, number)
        assert site.wait() == 0
    report(number.name, load, site)
    assert "Traceback" not in site.log


def test_processes_without_their_supervisor_end_and_lose_nothing(
    upstream: Upstream, tmp_path: Path
) -> None:
    """Also a stream that goes on for a while is recorded to its end."""
    site = Interceptor(tmp_path, config_for(upstream, tmp_path), **PATIENT).start()
    family = site.proxies | {site.recorder_pid, site.console_pid}
    gate = threading.Event()
    upstream.scripts["/v1/messages"] = sse(delta(1), delta(2), gate=gate)
    with raw.connection(site.port) as client:
        client.sendall(ask(site.port))
        wait_until(lambda: site.flows("state = 'live'"), "the stream runs")
        upstream.scripts["/v1/messages"] = answer
        with Load(site) as load:
            load.go_on(2 * BETWEEN)
            site.kill()
            # Connections that are open are served until the end, so the load goes on.
            wait_until(lambda: refused(site.port), "nothing accepts any more")
            gate.set()
        assert raw.read_answer(client).body == delta(1) + delta(2)
    wait_until(lambda: not any(map(is_alive, family)), "the others end")
    report("supervisor", load, site)
    assert site.flows("state != 'done'") == []
    assert "Traceback" not in site.log


def refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
