"""A fork of the template is what a program of its own would be, but for its imports."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ccproxy_site.supervise.control import Control, Message
from tests.environment import ROOT
from tests.patience import PATIENCE_S
from tests.warm.starter import (
    WARM,
    SharedTemplate,
    can_be_warm,
    run_folder,
    run_script,
    start_script,
    warm_command,
)
from tests.warm.template import serve

SHOWN = """
import json, os, sys
print(json.dumps({
    "argv": sys.argv[1:], "name": __name__, "cwd": os.getcwd(), "stdin": sys.stdin.read(),
    "variables": sorted(os.environ), "first path": sys.path[0], "warm": "django.db" in sys.modules,
    "settings": os.environ.get("DJANGO_SETTINGS_MODULE", ""), "threads": len(os.listdir("/proc/self/task")),
    "files": sorted(int(name) for name in os.listdir("/proc/self/fd"))[:3],
    "shown": open("/proc/self/cmdline").read().split(chr(0))[1:-1],
}))
print("said", file=sys.stderr)
sys.exit(7)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    path.write_text(SHOWN)
    return path


@pytest.mark.parametrize("warm", ["1", "0"])
def test_it_has_its_own_words_variables_folder_and_files(
    script: Path, warm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WARM, warm)
    environ = {"PATH": os.environ["PATH"], "MINE": "1"}
    folder = script.parent
    command = [sys.executable, str(script), "a", "b c"]
    done = run_script(command, environ, folder, "given", timeout_s=PATIENCE_S)
    assert (done.returncode, done.stderr) == (7, "said\n")
    shown = json.loads(done.stdout)
    assert shown.pop("warm") == (warm == "1")
    # A locale of C is coerced, which sets a variable.
    assert set(shown.pop("variables")) - {"LC_CTYPE"} == {"PATH", "MINE"}
    assert [word for word in shown.pop("shown") if word] == command[1:]
    assert shown == {
        "argv": ["a", "b c"],
        "name": "__main__",
        "cwd": str(folder),
        "stdin": "given",
        "first path": str(folder),
        "settings": "",
        "threads": 1,
        "files": [0, 1, 2],
    }


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("pass", 0, ""),
        ("import sys; sys.exit('a sentence')", 1, "a sentence\n"),
        ("raise ValueError('a mistake')", 1, "ValueError: a mistake\n"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM, ""),
    ],
)
def test_its_end_is_known(script: Path, text: str, code: int, said: str) -> None:
    script.write_text(text)
    command = [sys.executable, str(script)]
    done = run_script(command, {}, script.parent, timeout_s=PATIENCE_S)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.endswith(said)
    assert bool(done.stderr) == bool(said)


def test_a_shell_starts_one_with_its_files_and_hears_its_end(script: Path) -> None:
    def run(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            warm_command([sys.executable, str(script), *words]),
            cwd=script.parent,
            env={"MINE": "1"},
            input=given,
            capture_output=True,
            text=True,
        )

    done = run("a", "b c", given="given")
    assert (done.returncode, done.stderr) == (7, "said\n")
    shown = json.loads(done.stdout)
    assert shown["warm"]
    assert (shown["argv"], shown["stdin"]) == (["a", "b c"], "given")
    assert (shown["cwd"], "MINE" in shown["variables"]) == (str(script.parent), True)
    script.write_text("import os, signal; os.kill(os.getpid(), signal.SIGTERM)")
    assert run().returncode == -signal.SIGTERM


def test_a_signal_is_passed_on(script: Path) -> None:
    script.write_text(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(42))\n"
        "print('ready', flush=True)\ntime.sleep(600)"
    )
    command = warm_command([sys.executable, str(script)])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.wait(PATIENCE_S) == 42


def test_workers_fork_one_process(script: Path) -> None:
    """Each worker connects to it, and the first one that leaves takes it from no other."""
    script.write_text("import os; print(os.getppid())")
    command = [sys.executable, str(script)]
    first = run_script(command, {}, script.parent, timeout_s=PATIENCE_S).stdout
    other = SharedTemplate(run_folder())
    output = script.with_suffix(".txt")
    with output.open("wb") as file, Path(os.devnull).open("rb") as nothing:
        words = {"command": [str(script)], "environ": {}, "cwd": str(script.parent)}
        files = (nothing.fileno(), file.fileno(), file.fileno())
        pid = other.ask(files, **words, new_session=False)["pid"]
    assert other.ask(wait=pid) == {"code": 0}
    assert output.read_text() == first
    other.end()
    assert run_script(command, {}, script.parent, timeout_s=PATIENCE_S).stdout == first


def test_it_ends_with_the_last_worker() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        served = pool.submit(serve, listener)
        workers = [socket.create_connection(listener.getsockname()) for _ in range(2)]
        assert [Control(worker).hear() for worker in workers] == [Message({"ready": True})] * 2
        workers[0].close()
        assert not served.done()
        workers[1].close()
        assert served.result(PATIENCE_S) is None


def test_a_module_runs_and_is_ended() -> None:
    with Path(os.devnull).open("r+b") as nothing:
        process = start_script(
            [sys.executable, "-m", "http.server", "-b", "127.0.0.1", "0"],
            env={},
            cwd=ROOT,
            files=(nothing.fileno(),) * 3,
        )
    assert process.poll() is None
    assert os.getsid(process.pid) != process.pid
    process.terminate()
    assert process.wait(PATIENCE_S) == -signal.SIGTERM
    process.kill()
    assert process.poll() == -signal.SIGTERM


def test_what_a_fork_cannot_follow_is_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_BUILD_NAME", "x")
    assert can_be_warm({"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "PYTHON_BUILD_NAME": "x"})
    assert not can_be_warm({"PYTHONPATH": "/elsewhere"})
    assert not can_be_warm({"PYTHONHASHSEED": "1"})
    assert not can_be_warm({"PYTHON_BUILD_NAME": "y"})
    monkeypatch.setenv(WARM, "0")
    assert not can_be_warm({})
