"""The nursery: what it forks is a process like one that was started as a program."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest

from ccproxy_site.mains import nursery_main
from ccproxy_site.mains.nursery_main import COMMON
from ccproxy_site.supervise.nursery import LOST_CODE
from providers.wire.facts.table import built_in
from tests.ccproxy_site.supervise.test_family import Supervised, is_gone
from tests.e2e.process import wait_until
from tests.environment import ROOT
from tests.interceptor.test_proxy_imports import MODULES as PROXY_MODULES

ROLES = ("recorder", "proxy", "console")
PARENT_FIELD = 1
"""Of proc_pid_stat(5), behind the name in brackets."""


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    made = Supervised(tmp_path, "scripted_nursery")
    made.start()
    made.wait_announced()
    yield made
    assert made.process is not None
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":", 1) for line in lines)


def nursery_of(supervised: Supervised) -> int:
    (pid,) = {int(stat(supervised.pids(role)[-1])[PARENT_FIELD]) for role in ROLES}
    return pid


def test_one_process_forks_all(supervised: Supervised) -> None:
    assert supervised.process is not None
    nursery = nursery_of(supervised)
    assert nursery != supervised.process.pid
    assert int(stat(nursery)[PARENT_FIELD]) == supervised.process.pid


def test_a_fork_shows_its_own_command_line(supervised: Supervised) -> None:
    for role in ROLES:
        (noted, *_) = supervised.heard(role)
        words = Path(f"/proc/{noted['pid']}/cmdline").read_text().rstrip("\0").split("\0")
        module = f"tests.ccproxy_site.supervise.scripted_{role}"
        assert words == [sys.executable, "-P", "-m", module, *noted["arguments"]]


def test_a_fork_has_no_descriptor_and_no_signal_of_the_nursery(supervised: Supervised) -> None:
    for role in ROLES:
        pid = supervised.pids(role)[-1]
        handled = int(status(pid)["SigCgt"], 16)
        # As `begin` sets them: SIGTERM ends it until its loop has a handler.
        caught = {number for number in signal.Signals if handled & 1 << number - 1}
        assert caught >= {signal.SIGINT, signal.SIGHUP}
        assert not caught & {signal.SIGTERM, signal.SIGCHLD}
        assert int(status(pid)["SigBlk"], 16) == 0
        sockets = [fd for fd in Path(f"/proc/{pid}/fd").iterdir() if is_socket(fd)]
        # Its control, and what it was handed: the console its bridge, the others none in the script.
        handed = sum(words.get("descriptors", 0) for words in supervised.heard(role))
        assert 1 <= len(sockets) <= 1 + handed


def is_socket(fd: Path) -> bool:
    return os.readlink(fd).startswith("socket:") and int(fd.name) > 2


def test_without_the_nursery_all_go_on_and_come_back(supervised: Supervised) -> None:
    before = {role: supervised.pids(role)[-1] for role in ROLES}
    os.kill(nursery_of(supervised), signal.SIGKILL)
    wait_until(lambda: supervised.told("recorder", "note"), "the log says so")
    for role in ROLES:
        assert not is_gone(before[role])
        os.kill(before[role], signal.SIGKILL)
        wait_until(partial(is_started_again, supervised, role), f"another {role} runs")
    wait_until(
        lambda: any(
            f"ended with {LOST_CODE}" in note for note in supervised.told("recorder", "note")
        ),
        "the log says so",
    )
    assert supervised.end() == 0


def is_started_again(supervised: Supervised, role: str) -> bool:
    return len(supervised.pids(role)) == 2


def test_the_nursery_ends_with_the_supervisor(supervised: Supervised) -> None:
    nursery = nursery_of(supervised)
    supervised.end(signal.SIGKILL)
    wait_until(lambda: is_gone(nursery), "the nursery ends")


def test_the_nursery_outlives_a_signal_to_the_whole_group(supervised: Supervised) -> None:
    nursery = nursery_of(supervised)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        os.kill(nursery, number)
    os.kill(supervised.pids("proxy")[-1], signal.SIGKILL)
    wait_until(partial(is_started_again, supervised, "proxy"), "another proxy runs")
    assert int(stat(supervised.pids("proxy")[-1])[PARENT_FIELD]) == nursery
    assert supervised.end() == 0
    assert is_gone(nursery)


_PROGRAM = """
import json, os, sys
from importlib import import_module
from ccproxy_site.mains import nursery_main

for name in sys.argv[1:]:
    import_module(name)
print(json.dumps([len(os.listdir("/proc/self/task")), sorted(sys.modules)]))
"""


def loaded(*modules: str) -> tuple[int, set[str]]:
    """Return the number of threads and the modules of a process that has imported these."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *modules],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        text=True,
    )
    threads, names = json.loads(done.stdout)
    return threads, set(names)


def test_it_has_one_thread_and_loads_nothing_that_a_proxy_does_not_need() -> None:
    threads, common = loaded(*COMMON)
    assert threads == 1
    assert "pydantic" in common and "django" not in common
    # The first line of a log loads the redactor.
    _, of_a_proxy = loaded(*PROXY_MODULES, "flows.redaction.redactor")
    # Hooks are loaded with the configuration, which names them.
    unneeded = {name for name in common - of_a_proxy if not name.startswith("interceptor.hooks")}
    assert unneeded == set()


def test_it_makes_the_table_of_models_before_it_forks() -> None:
    built_in.cache_clear()
    with patch.object(nursery_main, "begin"), patch.object(nursery_main, "serve") as serve:
        serve.side_effect = lambda _: serve.made(built_in.cache_info().currsize)
        serve.made.return_value = None
        held = signal.getsignal(signal.SIGTERM)
        try:
            nursery_main.main(["--control", "0"], common=())
        finally:
            signal.signal(signal.SIGTERM, held)
    serve.made.assert_called_once_with(1)
