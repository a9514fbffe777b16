"""Calls of a function in a process of its own, with Django and another configuration.

`python -m tests.calls` sets Django up once and forks for each call: it reads calls as lines of JSON,
and writes a line with each result.
"""

from __future__ import annotations

import atexit
import json
import os
import selectors
import signal
import sys
import sysconfig
import threading
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from tests.patience import PATIENCE_S
from tests.warm.starter import start_script

ROOT = Path(__file__).resolve().parents[1]
CCPROXY = (sys.executable, str(Path(sysconfig.get_path("scripts"), "ccproxy")))
"""The installed command, under this interpreter."""


_ERRORS = 2


class _Caller:
    """A process that waits for calls with one environment.

    Its start takes a second of CPU time, a fork of it milliseconds.
    """

    def __init__(self, environ: dict[str, str]) -> None:
        self.environ = environ
        questions, self._questions = _pipe()
        self._answers, answers = _pipe()
        with questions, answers:
            self._process = start_script(
                [sys.executable, "-m", "tests.calls"],
                env={**environ, "DJANGO_SETTINGS_MODULE": "ccproxy_site.settings"},
                cwd=ROOT,
                files=(questions.fileno(), answers.fileno(), _ERRORS),
                start_new_session=True,
            )

    def call(self, module: str, name: str, args: Any, kwargs: Any) -> Any:
        """Return the result of a module's function."""
        self._questions.write(json.dumps([module, name, args, kwargs]).encode() + b"\n")
        self._questions.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            assert selector.select(2 * PATIENCE_S), f"{module}.{name} does not end"
        told = json.loads(self._answers.readline() or '{"error": "it ended"}')
        assert "result" in told, told["error"]
        return told["result"]

    def end(self) -> None:
        """End it, and what a call that failed left running."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._questions.close()
        self._answers.close()


def _pipe() -> tuple[BinaryIO, BinaryIO]:
    reading, writing = os.pipe()
    return os.fdopen(reading, "rb"), os.fdopen(writing, "wb")


_callers: list[_Caller] = []
_one_at_a_time = threading.Lock()


def call_elsewhere[**P, T](
    function: Callable[P, T], environ: Mapping[str, str], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Return the result of a module's function, called in a process with this environment.

    Arguments and result pass through JSON: a tuple comes back as a list. They never stand in argv.
    """
    with _one_at_a_time:
        # Calls with one environment come one after the other, so the last process is enough.
        if not _callers or _callers[0].environ != dict(environ):
            end_caller()
            _callers.append(_Caller(dict(environ)))
        try:
            result: T = _callers[0].call(function.__module__, function.__qualname__, args, kwargs)
        except BaseException:
            end_caller()
            raise
        return result


@atexit.register
def end_caller() -> None:
    """End the process that waits for calls, if there is one."""
    while _callers:
        _callers.pop().end()


def main() -> None:
    """Call what the lines of standard input name, each in a process of its own."""
    import django

    results = os.dup(sys.stdout.fileno())
    # What a function prints is no result.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    django.setup()
    for line in sys.stdin.buffer:
        module, name, args, kwargs = json.loads(line)
        import_module(module)
        if (pid := os.fork()) == 0:
            _answer(results, module, name, args, kwargs)
        _, status = os.waitpid(pid, 0)
        if status:
            _write(results, {"error": f"{module}.{name} ended with {status}"})


def _answer(results: int, module: str, name: str, args: Any, kwargs: Any) -> None:
    """Write the result of a call, or its error, and end this process."""
    try:
        told = {"result": getattr(import_module(module), name)(*args, **kwargs)}
    except BaseException:
        told = {"error": traceback.format_exc()}
    _write(results, told)
    sys.stdout.flush()
    os._exit(0)


def _write(results: int, told: dict[str, Any]) -> None:
    with os.fdopen(os.dup(results), "wb") as file:
        file.write(json.dumps(told).encode() + b"\n")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")
    main()
