"""The supervisor: order of the start, deaths, the stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.process import wait_until
from tests.patience import PATIENCE_S
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[3]


class Supervised:
    """A supervisor whose children do what files say."""

    def __init__(self, folder: Path, nursery: str) -> None:
        self.folder = folder
        self.nursery = nursery
        self.process: subprocess.Popen[bytes] | None = None

    def script(self, role: str, words: str) -> None:
        """Say what the next child of a role does."""
        (self.folder / f"{role}.script").write_text(words)

    def start(self, workers: int = 1) -> None:
        """Start the supervisor."""
        environ = os.environ | {
            "SCRIPTED_FOLDER": str(self.folder),
            "SCRIPTED_PORT": str(free_port()),
            "PYTHONPATH": str(ROOT),
        }
        module = "tests.ccproxy_site.supervise.scripted_family"
        words = [str(workers), *filter(None, [self.nursery])]
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *words], env=environ, stderr=subprocess.PIPE
        )

    def heard(self, role: str) -> list[dict[str, Any]]:
        """What children of a role noted, over all their lives."""
        path = self.folder / f"{role}.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def told(self, role: str, key: str) -> list[Any]:
        """What children of a role were told under a key."""
        return [words[key] for words in self.heard(role) if key in words]

    def pids(self, role: str) -> list[int]:
        """The children of a role, the newest last."""
        return self.told(role, "pid")

    def wait_announced(self) -> None:
        """Return once everybody is ready."""
        wait_until(lambda: self.told("console", "announce"), "everybody is ready")

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@pytest.fixture(params=["", "scripted_nursery"])
def supervised(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Supervised]:
    """Children as programs of their own, and forked."""
    made = Supervised(tmp_path, request.param)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def test_everybody_is_served_and_the_console_announces(supervised: Supervised) -> None:
    supervised.start(workers=2)
    supervised.wait_announced()
    (first, *_) = supervised.told("proxy", "serve")
    assert first["host"] == "127.0.0.1"
    served = [words["descriptors"] for words in supervised.heard("proxy") if "serve" in words]
    assert served == [2, 2], "a ring and a listener each"
    wait_until(lambda: len(supervised.told("recorder", "client")) == 3, "the recorder knows them")
    kinds = sorted(client["kind"] for client in supervised.told("recorder", "client"))
    assert kinds == ["console", "proxy", "proxy"]
    assert supervised.end() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everybody(supervised: Supervised, number: int) -> None:
    supervised.start()
    supervised.wait_announced()
    assert supervised.end(number) == 0
    for role in ("recorder", "proxy", "console"):
        assert supervised.told(role, "stop") == [True]
        assert is_gone(supervised.pids(role)[-1])


def test_children_end_when_the_supervisor_is_killed(supervised: Supervised) -> None:
    supervised.start()
    supervised.wait_announced()
    supervised.end(signal.SIGKILL)
    for role in ("recorder", "proxy", "console"):
        pid = supervised.pids(role)[-1]
        wait_until(partial(is_gone, pid), f"the {role} ends")


@pytest.mark.parametrize("role", ["recorder", "proxy", "console"])
def test_who_dies_is_started_again_and_served(supervised: Supervised, role: str) -> None:
    supervised.start()
    supervised.wait_announced()
    before = {one: len(supervised.heard(one)) for one in ("recorder", "proxy", "console")}
    os.kill(supervised.pids(role)[-1], signal.SIGKILL)
    wait_until(lambda: len(supervised.pids(role)) == 2, "another one runs")
    newest = supervised.heard(role)[before[role] :]
    if role == "recorder":
        assert "--again" in newest[0]["arguments"]
        wait_until(lambda: supervised.told("recorder", "client")[2:], "both are there again")
        wait_until(lambda: len(supervised.told("proxy", "recorder")) == 2, "the proxy is told")
        wait_until(lambda: len(supervised.told("console", "recorder")) == 2, "and the console")
    else:
        wait_until(lambda: len(supervised.told(role, "serve")) == 2, "it is served")
    wait_until(lambda: supervised.told("recorder", "note"), "the log says so")
    assert f"the {role} ended with -9" in supervised.told("recorder", "note")[0]
    # Nobody else was touched.
    for other in {"recorder", "proxy", "console"} - {role}:
        assert len(supervised.pids(other)) == 1


def test_the_ring_of_a_dead_proxy_reaches_the_next_recorder(supervised: Supervised) -> None:
    supervised.start()
    supervised.wait_announced()
    os.kill(supervised.pids("proxy")[-1], signal.SIGKILL)
    wait_until(lambda: len(supervised.told("proxy", "serve")) == 2, "another proxy runs")
    os.kill(supervised.pids("recorder")[-1], signal.SIGKILL)
    wait_until(lambda: len(supervised.pids("recorder")) == 2, "another recorder runs")

    def clients() -> list[tuple[int, bool]]:
        newest = supervised.told("recorder", "client")[3:]
        return sorted((one["number"], one["open"]) for one in newest if one["kind"] == "proxy")

    wait_until(lambda: clients() == [(1, False), (2, True)], "both rings are handed over")


def test_a_refusal_ends_everything_with_its_sentence(supervised: Supervised) -> None:
    supervised.script("recorder", "refuse port 4000 is taken")
    supervised.start()
    assert supervised.process is not None
    _, errors = supervised.process.communicate(timeout=PATIENCE_S)
    assert supervised.process.returncode == 1
    assert errors == b"ccproxy: port 4000 is taken\n"


def test_a_recorder_that_refuses_after_its_checks_ends_those_that_it_let_start(
    supervised: Supervised,
) -> None:
    supervised.script("recorder", "refuse-checked revision 3 names no hook")
    supervised.start()
    assert supervised.process is not None
    _, errors = supervised.process.communicate(timeout=PATIENCE_S)
    assert supervised.process.returncode == 1
    assert errors == b"ccproxy: revision 3 names no hook\n"
    for pid in supervised.pids("proxy") + supervised.pids("console"):
        assert is_gone(pid)


def test_a_child_that_dies_before_it_was_ready_ends_the_start(supervised: Supervised) -> None:
    supervised.script("proxy", "die")
    supervised.start()
    assert supervised.process is not None
    _, errors = supervised.process.communicate(timeout=PATIENCE_S)
    assert supervised.process.returncode == 1
    assert errors == b"ccproxy: the proxy ended with 7; the log says why\n"


def is_gone(pid: int) -> bool:
    """Tell if a process has ended; one may wait to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return True
    return state == "Z"
