"""A jailed command behaves as if it were run directly, and leaves nothing behind, however it
ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path
from typing import Self

import pytest

from tests.e2e.process import wait_until
from tests.jail import user
from tests.patience import PATIENCE_S

TOOLS = ("slirp4netns", "wireguard-go")


def processes(world) -> set[int]:
    """What lives of this world: its config directory is in environment or arguments; wireguard-go
    has neither.
    """
    mark = str(world.interceptor.config_dir).encode()
    uid = user.UID if os.getuid() == 0 else os.getuid()
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_client = (
                entry.stat().st_uid == uid and (entry / "comm").read_text() == "wireguard-go\n"
            )
            if (
                is_client
                or mark in (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            ):
                found.add(int(entry.name))
    return found


def namespaces(pids: set[int]) -> set[str]:
    """The user and network namespaces that these processes live in."""
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            found |= {os.readlink(f"/proc/{pid}/ns/{name}") for name in ("net", "user")}
    return found


@pytest.fixture
def nothing_left(world):
    """After the test there are no more processes, namespaces and files than before."""
    before = processes(world)
    names = namespaces(before)
    yield
    wait_until(lambda: processes(world) <= before, "every process of the jails has ended")
    assert namespaces(processes(world)) <= names
    wait_until(lambda: not list(world.jails.iterdir()), "every folder is gone")


@pytest.mark.parametrize("code", [0, 7, 255])
def test_the_exit_code_is_the_commands(world, nothing_left, code):
    assert world.run("sh", "-c", f"exit {code}").returncode == code


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGSEGV"])
def test_a_command_that_dies_of_a_signal_takes_the_launcher_along(world, nothing_left, name):
    done = world.run("sh", "-c", f"kill -{name.removeprefix('SIG')} $$")
    assert (done.returncode, done.stderr) == (-signal.Signals[name], "")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("no-such-command",), 127, "there is no command “no-such-command” on PATH"),
        (("/no/such/file",), 127, "there is no command “/no/such/file”"),
        (("/etc/passwd",), 126, "cannot run /etc/passwd: Permission denied"),
    ],
)
def test_what_cannot_be_run(world, nothing_left, words, code, message):
    done = world.run(*words)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", f"ccproxy: {message}\n")


def test_a_script_without_its_interpreter(world, nothing_left):
    script = world.folder / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    done = world.run(str(script))
    assert (done.returncode, done.stderr.count("\n")) == (126, 1)
    assert "interpreter does not exist" in done.stderr


def test_streams_arguments_and_environment_are_the_commands(world, nothing_left):
    done = world.run(
        "sh",
        "-c",
        'cat; echo "$1|$MINE|$(pwd)|$(id -u)" >&2',
        "sh",
        "a b",
        input="in\n",
        environ={"MINE": "ö"},
    )
    uid = user.UID if os.getuid() == 0 else os.getuid()
    assert (done.returncode, done.stdout) == (0, "in\n")
    assert done.stderr == f"a b|ö|{world.folder}|{uid}\n"


def test_a_closed_pipe_ends_it_quietly(world, nothing_left):
    with world.start("yes") as process:
        assert process.stdout.readline() == "y\n"
        process.stdout.close()
        assert process.wait(PATIENCE_S) == -signal.SIGPIPE
        assert process.stderr.read() == ""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"])
def test_a_signal_to_the_launcher_reaches_the_command(world, nothing_left, name):
    code = (
        "import signal, sys, time\n"
        f"signal.signal(signal.{name}, lambda *_: sys.exit(42))\n"
        "print('ready', flush=True)\ntime.sleep(30)"
    )
    with world.start(sys.executable, "-I", "-c", code) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.Signals[name])
        assert process.wait(PATIENCE_S) == 42


def test_what_the_command_left_running_ends_with_it(world, nothing_left):
    done = world.run(
        "sh",
        "-c",
        "setsid sleep 300 >/dev/null 2>&1 & (trap '' TERM; sleep 301 >/dev/null 2>&1) & exit 3",
    )
    assert done.returncode == 3


def test_nested_namespaces_end_too(world, nothing_left):
    """A browser's sandbox is one: the jail must not forbid it, and must not forget it."""
    done = world.run("sh", "-c", "unshare -Urn sleep 300 >/dev/null 2>&1 & sleep 0.2; exit 4")
    assert done.returncode == 4


def test_kill_9_of_the_launcher_leaves_nothing(world, nothing_left):
    """Ended at ten moments while it is set up, and while the command runs, where no moment differs."""
    setting_up = [number * 0.04 for number in range(10)]
    for after_s in [*setting_up, None, None, None]:
        command = "setsid sleep 300 & echo up; sleep 300"
        process = world.start("sh", "-c", command, start_new_session=True)
        if after_s is None:
            assert process.stdout.readline() == "up\n"
        else:
            time.sleep(after_s)
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
    wait_until(
        lambda: not list(world.jails.iterdir()) or world.run("true"), "the next start sweeps", 10
    )


def test_five_at_a_time(world, nothing_left):
    url = "https://api.anthropic.com/v1/models"
    running = [
        world.start(
            "curl",
            "-sS",
            "-w",
            "%{http_code}",
            "-o",
            "/dev/null",
            url,
            options=("--label", f"many-{number}"),
        )
        for number in range(5)
    ]
    assert [process.communicate(timeout=PATIENCE_S)[0] for process in running] == ["200"] * 5
    labels = {
        row["run_label"]
        for row in world.interceptor.wait_for_flows(5, "run_label like 'many-%' and method='GET'")
    }
    assert labels == {f"many-{number}" for number in range(5)}


def test_status_shows_what_runs(world, nothing_left):
    with world.start("sh", "-c", "echo up; cat", stdin=-1) as process:
        assert process.stdout.readline() == "up\n"
        shown = world.interceptor.manage("jail", "--status", "--json").stdout
        process.stdin.close()
        process.wait(PATIENCE_S)
    jails = json.loads(shown)["jails"]
    assert [(jail["pid"], jail["command"]) for jail in jails] == [
        (process.pid, ["sh", "-c", "echo up; cat"])
    ]


class Terminal:
    """A command behind a pseudo-terminal."""

    def __init__(self, words: list[str], environ: dict[str, str], folder: Path) -> None:
        self.pid, self.end = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(words[0], words, environ)
        self.text = ""

    def type(self, text: str) -> None:
        os.write(self.end, text.encode())

    def is_lent(self) -> bool:
        """Tell if the keys go to a job of the shell, and not to the shell."""
        return os.tcgetpgrp(self.end) != self.pid

    def expect(self, pattern: str, timeout_s: float = PATIENCE_S) -> str:
        deadline = time.monotonic() + timeout_s
        while not (found := re.search(pattern, self.text)):
            assert time.monotonic() < deadline, f"{pattern!r} never came: {self.text!r}"
            if select.select([self.end], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    self.text += os.read(self.end, 65536).decode(errors="replace")
        self.text = self.text[found.end() :]
        return found.group()

    def close(self) -> int:
        """The exit code."""
        status = os.waitpid(self.pid, 0)[1]
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.end)


def test_a_terminal_is_a_terminal(world, nothing_left):
    """An interactive shell in the jail: Ctrl-C, Ctrl-Z and job control inside, window size, exit
    code.
    """
    shell = ("bash", "--norc", "--noprofile", "-i")
    with Terminal(
        world.command(*shell), world.environ(PS1="> ", TERM="dumb"), world.folder
    ) as terminal:
        terminal.expect("> ")
        fcntl.ioctl(terminal.end, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
        terminal.type("stty size; test -t 0 && echo is-a-tty\n")
        terminal.expect("33 101")
        terminal.expect("is-a-tty")
        # The terminal shows what is typed too, but only the program itself says up-42.
        terminal.type("sh -c 'echo up-$((40 + 2)); exec sleep 50'\n")
        terminal.expect("up-42")
        terminal.type("\x03")
        terminal.expect("> ")
        terminal.type("echo code=$?\n")
        terminal.expect("code=130")
        terminal.type("sh -c 'echo up-$((40 + 3)); exec sleep 51'\n")
        terminal.expect("up-43")
        terminal.type("\x1a")
        terminal.expect("Stopped")
        terminal.type("bg; kill %1; wait %1; echo gone=$?\n")
        terminal.expect("gone=143")
        terminal.type("exit 7\n")
        assert terminal.close() == 7


def test_the_jail_is_a_job_of_the_shell_around_it(world, nothing_left):
    """Ctrl-Z stops launcher and command, fg goes on, also for a command that stops itself alone;
    Ctrl-C ends both.
    """
    shell = ["bash", "--norc", "--noprofile", "-i"]
    with Terminal(shell, world.environ(PS1="> ", TERM="dumb"), world.folder) as terminal:
        terminal.expect("> ")
        script = world.folder / "job.sh"
        script.write_text("echo up; kill -STOP $$; echo again; exec sleep 60\n")
        jail = " ".join(f"'{word}'" for word in world.command("sh", str(script)))
        terminal.type(jail + "\n")
        terminal.expect("\r\nup")
        terminal.expect("Stopped")
        terminal.type("fg\n")
        terminal.expect("again")
        terminal.type("\x1a")
        terminal.expect("Stopped")
        terminal.type("fg\n")
        terminal.expect("job.sh")
        # Until then the shell itself would take the key.
        wait_until(terminal.is_lent, "the job has the terminal")
        terminal.type("\x03")
        terminal.expect("> ")
        terminal.type("echo code=$?; exit 5\n")
        terminal.expect("code=130")
        assert terminal.close() == 5
