"""Starts commands of the product as forks of a process that has imported it."""

from __future__ import annotations

import atexit
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, Final

from ccproxy_site.supervise.control import Control
from ccproxy_site.supervise.nursery_start import ROOM
from providers.base.file_lock import FileLock
from tests.environment import ROOT
from tests.new_database import FOLDER

WARM: Final = "CCPROXY_TEST_WARM"
"""The variable that allows it; pytest sets it to 1 unless it is set, and benchmarks do not."""
KEPT_VARIABLES: Final = ("PATH", "HOME", "LANG", "TMPDIR")
READ_AT_THE_START: Final = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONUNBUFFERED")
"""Variables of the interpreter that a fork can still follow."""
CLIENT: Final = Path(__file__).with_name("client.py")
OUR_PATHS: Final = ("", str(ROOT))
"""Another path may hold a `sitecustomize.py`, which runs before all imports."""


def _template_environ() -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return kept | _of_the_interpreter(os.environ)


def _of_the_interpreter(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that may change what an interpreter is from its start on."""
    return {
        name: value
        for name, value in environ.items()
        if name.startswith("PYTHON") and name not in READ_AT_THE_START
    }


class SharedTemplate:
    """A connection to the process that is forked; all workers of a run share one such process.

    Args:
        folder: where its address lies.
        prefix: words before its command, to become another user.
        environ: all its variables; None for what every test may have.
        modules: it imports these alone.
    """

    def __init__(
        self,
        folder: Path,
        prefix: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        modules: Sequence[str] = (),
    ) -> None:
        with FileLock(folder / "template.lock"), _opened(folder) as place:
            address = f"{place}/template"
            # The one there may be about to end, as nobody needed it any more.
            if not self._connects(address):
                command = [*prefix, sys.executable, "-P", "-m", "tests.warm.template"]
                words = ["--only", *modules] if modules else []
                _start([*command, *words], address, environ or _template_environ())
                assert self._connects(address), "the template has ended"

    def _connects(self, address: str) -> bool:
        """Connect to a template once it has loaded everything; return False if there is none."""
        ours = socket.socket(socket.AF_UNIX)
        self._control = Control(ours)
        with suppress(OSError):
            ours.connect(address)
            if self._control.hear() is not None:
                return True
        ours.close()
        return False

    def ask(self, descriptors: Sequence[int] = (), **words: Any) -> dict[str, Any]:
        """Return what it says to these words."""
        assert self._control.say(descriptors, **words), "the template has ended"
        message = self._control.hear()
        assert message is not None, "the template has ended"
        return message.words

    def end(self) -> None:
        """Leave it: it ends when no worker needs it."""
        self._control.close()


@contextmanager
def _opened(folder: Path) -> Iterator[str]:
    """A name of the folder that is short enough for the address of a socket (unix(7))."""
    descriptor = os.open(folder, os.O_PATH)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _start(command: Sequence[str], address: str, environ: Mapping[str, str]) -> None:
    with suppress(FileNotFoundError):
        os.unlink(address)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        listener.set_inheritable(True)
        # Nobody waits for it: it may outlive this worker.
        os.posix_spawn(
            command[0],
            [*command, "--listener", str(listener.fileno()), "--room", ROOM],
            environ,
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
            setsid=True,
        )


@cache
def run_folder() -> Path:
    """Return the folder of the run, or one of this process outside of a run."""
    folder = Path(os.environ.get(FOLDER) or tempfile.mkdtemp(prefix="ccproxy-warm-"))
    folder.mkdir(exist_ok=True)
    return folder


_templates: list[SharedTemplate] = []
_one_at_a_time = threading.Lock()


def _ask(descriptors: Sequence[int] = (), **words: Any) -> dict[str, Any]:
    with _one_at_a_time:
        if not _templates:
            _templates.append(SharedTemplate(run_folder()))
        return _templates[0].ask(descriptors, **words)


@atexit.register
def _end_template() -> None:
    while _templates:
        _templates.pop().end()


class WarmProcess:
    """A fork that runs a script of Python, with the methods of `subprocess.Popen`.

    Args:
        command: path of the script, and its arguments.
        env: all its variables.
        files: descriptors of its standard input, output and error.
        start_new_session: it leads a session and a process group of its own, else it belongs to
            those of the template.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        files: Sequence[int],
        start_new_session: bool = False,
    ) -> None:
        words = {"command": [*command], "environ": dict(env), "cwd": str(cwd)}
        self.pid: int = _ask(files, **words, new_session=start_new_session)["pid"]
        self.returncode: int | None = None
        # Its number stays its own until the template has heard of its end.
        self._pidfd = os.pidfd_open(self.pid)

    def poll(self) -> int | None:
        """Return the exit code; None while it runs."""
        return self._ended_within(0)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once it has ended.

        Raises:
            subprocess.TimeoutExpired: it runs on.
        """
        code = self._ended_within(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def _ended_within(self, timeout_s: float | None) -> int | None:
        if self.returncode is None and select.select([self._pidfd], [], [], timeout_s)[0]:
            self.returncode = _ask(wait=self.pid)["code"]
            os.close(self._pidfd)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._pidfd, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def can_be_warm(environ: Mapping[str, str]) -> bool:
    """Return whether a fork would be what the interpreter is with these variables."""
    is_same = _of_the_interpreter(environ).items() <= _of_the_interpreter(os.environ).items()
    is_usual = is_same and environ.get("PYTHONPATH", "") in OUR_PATHS
    return is_usual and os.environ.get(WARM) == "1" and sys.platform == "linux"


def warm_command(command: Sequence[str]) -> list[str]:
    """Return words with which a shell starts this interpreter with a script: as a fork where it can be one.

    Args:
        command: the interpreter, the script's path, and arguments.
    """
    if not can_be_warm(os.environ):
        return [*command]
    with _one_at_a_time:
        if not _templates:
            _templates.append(SharedTemplate(run_folder()))
    return client_command(run_folder(), command)


def client_command(folder: Path, command: Sequence[str]) -> list[str]:
    """Return words that have the template of a folder run a script."""
    return [sys.executable, "-I", "-S", str(CLIENT), str(folder), *command[1:]]


def start_script(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    files: Sequence[int],
    start_new_session: bool = False,
    is_warm: bool = True,
) -> subprocess.Popen[bytes] | WarmProcess:
    """Start this interpreter with a script or `-m` and a module, and arguments: as a fork where it can be one.

    Args:
        command: the interpreter, the script's path or `-m` and a module, and arguments.
        env: all its variables.
        files: descriptors of its standard input, output and error.
        start_new_session: it leads a session and a process group.
        is_warm: False for a program of its own from the first import on.
    """
    if is_warm and can_be_warm(env):
        return WarmProcess(
            command[1:],
            env=env,
            cwd=cwd,
            files=files,
            start_new_session=start_new_session,
        )
    given, output, errors = files
    return subprocess.Popen(
        command, env=env, cwd=cwd, stdin=given, stdout=output, stderr=errors,
        start_new_session=start_new_session,
    )  # fmt: skip


def run_script(
    command: Sequence[str],
    environ: Mapping[str, str],
    cwd: Path,
    stdin: str = "",
    *,
    timeout_s: float,
) -> subprocess.CompletedProcess[str]:
    """Run this interpreter with a script or `-m` and a module, and arguments, to its end; output is text.

    Raises:
        subprocess.TimeoutExpired: it did not end.
    """
    made = tempfile.TemporaryFile
    with made() as given, made() as output, made() as errors:
        given.write(stdin.encode())
        given.seek(0)
        files = (given.fileno(), output.fileno(), errors.fileno())
        process = start_script(command, env=environ, cwd=cwd, files=files)
        try:
            code = process.wait(timeout_s)
        except BaseException:
            process.kill()
            process.wait()
            raise
        return subprocess.CompletedProcess([*command], code, _text(output), _text(errors))


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()
