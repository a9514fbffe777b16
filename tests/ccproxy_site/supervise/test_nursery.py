"""The nursery: what it forks is a process like one that was started as a program."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest

from ccproxy_site.mains import nursery_main
from ccproxy_site.mains.nursery_main import COMMON
from ccproxy_site.supervise import nursery
from ccproxy_site.supervise.nursery_start import start_nursery
from providers.wire.facts.table import built_in
from tests.ccproxy_site.supervise.test_family import Supervised, is_gone
from tests.e2e.process import wait_until
from tests.environment import ROOT
from tests.interceptor.test_proxy_imports import MODULES as PROXY_MODULES

ROLES = ("recorder", "proxy", "console")
PARENT_FIELD = 1
"""Of proc_pid_stat(5), behind the name in brackets."""


@pytest.fixture
def starting(tmp_path: Path) -> Iterator[Supervised]:
    """An installation whose proxy is not ready until `go_on`, so the nursery is still there."""
    made = Supervised(tmp_path, "scripted_nursery")
    made.script("proxy", "wait")
    made.start()
    wait_until(lambda: all(made.pids(role) for role in ROLES), "all are forked")
    yield made
    assert made.process is not None
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def go_on(starting: Supervised) -> None:
    (starting.folder / "proxy.script").unlink()
    starting.wait_announced()


@pytest.fixture
def supervised(starting: Supervised) -> Supervised:
    go_on(starting)
    return starting


def stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":", 1) for line in lines)


def nursery_of(starting: Supervised) -> int:
    (pid,) = {parent for role in ROLES for parent in starting.told(role, "parent")}
    return int(pid)


def parent_of(pid: int) -> int:
    return int(stat(pid)[PARENT_FIELD])


def test_one_process_forks_all(starting: Supervised) -> None:
    assert starting.process is not None
    its_pid = nursery_of(starting)
    assert its_pid != starting.process.pid
    assert parent_of(its_pid) == starting.process.pid


def test_it_ends_once_all_are_ready_and_leaves_them_to_the_supervisor(
    starting: Supervised,
) -> None:
    assert starting.process is not None
    its_pid = nursery_of(starting)
    assert not is_gone(its_pid)
    go_on(starting)
    wait_until(lambda: not Path(f"/proc/{its_pid}").exists(), "the nursery is buried")
    for role in ROLES:
        assert parent_of(starting.pids(role)[-1]) == starting.process.pid
    assert starting.end() == 0


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


def test_without_the_nursery_all_go_on_and_come_back(starting: Supervised) -> None:
    before = {role: starting.pids(role)[-1] for role in ROLES}
    os.kill(nursery_of(starting), signal.SIGKILL)
    wait_until(lambda: starting.told("recorder", "note"), "the log says so")
    go_on(starting)
    for role in ROLES:
        assert not is_gone(before[role])
        os.kill(before[role], signal.SIGKILL)
        wait_until(partial(is_started_again, starting, role), f"another {role} runs")
    wait_until(lambda: len(starting.told("recorder", "note")) == 1 + len(ROLES), "all are noted")
    assert all("ended with -9" in note for note in starting.told("recorder", "note")[1:])
    assert starting.end() == 0


def test_it_has_no_descriptor_that_a_shell_left_open() -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    try:
        started = start_nursery(
            "tests.ccproxy_site.supervise.scripted_nursery",
            {**os.environ, "PYTHONPATH": str(ROOT)},
        )
        links: set[str] = set()
        for fd in Path(f"/proc/{started.pid}/fd").iterdir():
            # It is importing, so files are open for a moment.
            with suppress(FileNotFoundError):
                links.add(os.readlink(fd))
        assert os.readlink(f"/proc/self/fd/{writing}") not in links
        os.close(started.descriptor)
        assert os.waitpid(started.pid, 0) == (started.pid, 0)
    finally:
        os.close(reading)
        os.close(writing)


def test_an_exit_code_that_nobody_can_know_is_said_as_such() -> None:
    assert nursery._exit_code(os.getppid()) == nursery.LOST_CODE


def is_started_again(supervised: Supervised, role: str) -> bool:
    return len(supervised.pids(role)) == 2


def test_the_nursery_ends_with_the_supervisor(starting: Supervised) -> None:
    its_pid = nursery_of(starting)
    starting.end(signal.SIGKILL)
    wait_until(lambda: is_gone(its_pid), "the nursery ends")


def test_the_nursery_ends_when_the_start_is_cut_off(starting: Supervised) -> None:
    its_pid = nursery_of(starting)
    (starting.folder / "proxy.script").unlink()
    assert starting.end() == 0
    assert is_gone(its_pid)


def test_the_nursery_outlives_a_signal_to_the_whole_group(starting: Supervised) -> None:
    its_pid = nursery_of(starting)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        os.kill(its_pid, number)
    # It reports a death all the same.
    os.kill(starting.pids("console")[-1], signal.SIGKILL)
    wait_until(partial(is_started_again, starting, "console"), "another console runs")
    assert starting.told("console", "parent") == [its_pid, its_pid]
    go_on(starting)
    assert starting.end() == 0
    assert is_gone(its_pid)


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


def test_it_forks_no_proxy_that_could_have_django(tmp_path: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "SCRIPTED_FOLDER": str(tmp_path)}
    module = "tests.ccproxy_site.supervise.scripted_nursery"
    made = nursery.Nursery(start_nursery(module, environ))
    kinds = {"scripted_proxy": False, "scripted_console": True}
    forked: dict[tuple[int, str], bool] = {}
    for name in ("scripted_proxy", "scripted_console", "scripted_proxy", "scripted_console"):
        ours, theirs = socket.socketpair()
        # A child ends at once: nobody is at the other end.
        with ours, theirs:
            is_there = made.fork(
                f"tests.ccproxy_site.supervise.{name}", [], theirs, has_django=kinds[name]
            )
        forked[len(forked), name] = is_there is not None
    made.dismiss()
    made.close()
    assert forked == {
        (0, "scripted_proxy"): True,
        (1, "scripted_console"): True,
        (2, "scripted_proxy"): False,
        (3, "scripted_console"): True,
    }


def test_it_makes_the_table_of_models_before_it_forks() -> None:
    built_in.cache_clear()
    with patch.object(nursery_main, "begin"), patch.object(nursery_main, "serve") as serve:
        serve.side_effect = lambda *_: serve.made(built_in.cache_info().currsize)
        serve.made.return_value = None
        held = signal.getsignal(signal.SIGTERM)
        try:
            nursery_main.main(["--control", "0"], common=())
        finally:
            signal.signal(signal.SIGTERM, held)
    serve.made.assert_called_once_with(1)
