"""`python -P -m tests.warm.template`: has imported the product, and forks its commands.

Most of the CPU time of a start is that of imports: 2.8 of 4.4 seconds of `ccproxy start`, which the
tests start a hundred times. A fork has done them, and is otherwise a process of the product: with its
own environment, descriptors, settings, Django and event loop. It has modules that another would not
have; a test that looks at those starts a process of the usual kind.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Final, NoReturn

from pydantic import BaseModel

from ccproxy_site.console.server import NEVER_USED
from ccproxy_site.mains import nursery_main
from ccproxy_site.mains.child_main import end_process
from ccproxy_site.supervise import __main__ as supervisor
from ccproxy_site.supervise import become
from ccproxy_site.supervise.control import Control, Message
from ccproxy_site.supervise.nursery_start import ROOM, TERMINAL_SIGNALS, NurseryProcess
from providers.base.left_out import left_out
from providers.wire.core.no_collection import without_collection
from providers.wire.facts.table import built_in

PACKAGES: Final = ("ccproxy_site", "jail", "interceptor", "shapes", "flows", "providers")
NOT_IMPORTED: Final = (
    ".migrations",
    ".__main__",
    "ccproxy_site.asgi",
    "ccproxy_site.celery",
    "ccproxy_site.settings",
    "ccproxy_site.console.quiet_server",
)
"""Parts of names of modules that choose the settings or Twisted's loop, or run when imported."""
OF_THE_CONSOLE: Final = (
    "autobahn.twisted.websocket",
    "twisted.internet.asyncioreactor",
    "twisted.internet.endpoints",
    "twisted.web.server",
)
"""What Daphne imports."""
WITHOUT_SETTINGS: Final = (
    *nursery_main.OF_DJANGO,
    "channels.auth",
    "channels.routing",
    "channels.security.websocket",
    "django.core.handlers.asgi",
    "django.template.loaders.cached",
    "whitenoise.middleware",
)
"""What our modules import that need settings."""
STANDARD: Final = (0, 1, 2)

SUPERVISOR: Final = "ccproxy_site.supervise"

type Main = Callable[[], int]
type ModuleMain = Callable[[Sequence[str]], int]

_execve = os.execve


class Becomes(BaseException):
    """This process is `python -P -m module` from now on; unwinds what it was."""

    def __init__(
        self, module: str, words: Sequence[str], environ: Mapping[str, str], main: ModuleMain
    ) -> None:
        super().__init__()
        self._command = [sys.executable, "-P", "-m", module, *words]
        self._words, self._environ, self._main = words, dict(environ), main

    def begin(self) -> int:
        """Run its main, and return the exit code."""
        os.execve = _execve
        os.environ.clear()
        os.environ.update(self._environ)
        sys.argv[:] = [self._command[3], *self._words]
        nursery_main.show_as(self._command)
        return self._main(self._words)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fork what is asked for, until all who asked are gone; a fork ends in here."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listener", type=int, required=True)
    parser.add_argument("--room", help="space for the command lines of what it forks")
    parser.add_argument("--only", nargs="+", default=[], help="modules to import; without: all")
    options = parser.parse_args(arguments)
    listener = socket.socket(fileno=options.listener)
    if options.only:
        load_only(options.only)
    else:
        load()
    if life := serve(listener):
        end_process(run(life))
    return 0


def complete(model: type[BaseModel]) -> None:
    """Complete our models below this one, which otherwise each fork does at their first use."""
    for below in model.__subclasses__():
        is_ours = below.__module__.partition(".")[0] in PACKAGES
        if is_ours and not below.__pydantic_complete__:
            below.model_rebuild()
        complete(below)


def serve(listener: socket.socket) -> Main | None:
    """Fork until no worker is connected: None. In a fork, return what it is to run."""
    controls = [_accept(listener)]
    while controls:
        readable, _, _ = select.select([listener, *(one.socket for one in controls)], [], [])
        for control in [one for one in controls if one.socket in readable]:
            message = control.hear()
            if message is None:
                controls.remove(control)
                control.close()
            elif "wait" in message.words:
                _, status = os.waitpid(message.words["wait"], 0)
                control.say(code=os.waitstatus_to_exitcode(status))
            elif life := fork(control, message):
                for end in (listener, *(one.socket for one in controls)):
                    end.close()
                return life
        if listener in readable:
            controls.append(_accept(listener))
    return None


def _accept(listener: socket.socket) -> Control:
    control = Control(listener.accept()[0])
    control.say(ready=True)
    return control


def load_only(modules: Sequence[str]) -> None:
    """Import some modules, with all that they import."""
    with without_collection():
        for name in modules:
            import_module(name)
        complete(BaseModel)
    gc.freeze()


def load() -> None:
    """Import every module of the product that needs no settings, with all that it imports."""
    gc.disable()
    # As the console does, and before another module loads what Twisted shall do without.
    with left_out(*NEVER_USED):
        for name in OF_THE_CONSOLE:
            import_module(name)
    for name in WITHOUT_SETTINGS:
        import_module(name)
    for package in PACKAGES:
        path = import_module(package).__path__
        # A package of models cannot be imported yet: its modules are passed over with it.
        for module in pkgutil.walk_packages(path, f"{package}.", onerror=lambda name: None):
            if not any(part in module.name for part in NOT_IMPORTED):
                # Some need settings, and Django's applications: a fork imports those itself.
                with suppress(Exception):
                    import_module(module.name)
    built_in()
    complete(BaseModel)
    from django.conf import settings

    assert not settings.configured, "a module has chosen the settings when it was imported"
    assert "twisted.internet.reactor" not in sys.modules, "a module has chosen Twisted's loop"
    assert os.listdir("/proc/self/task") == [str(os.getpid())], "a fork would lose its threads"
    gc.enable()
    gc.freeze()


def fork(control: Control, message: Message) -> Main | None:
    """Fork a process; return None here, and there what it is to run."""
    pid = os.fork()
    if pid:
        for descriptor in message.descriptors:
            os.close(descriptor)
        control.say(pid=pid)
        return None
    _take_over(message)
    return partial(_run_script, message.words["command"])


def _take_over(message: Message) -> None:
    """Be a process that has been started with these words, descriptors and variables."""
    words = message.words
    if words["new_session"]:
        os.setsid()
    for given, standard in zip(message.descriptors, STANDARD, strict=True):
        os.dup2(given, standard)
        os.close(given)
    os.chdir(words["cwd"])
    os.environ.clear()
    os.environ.update(words["environ"])
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    # Those of the template stay, as they stand for the same numbers.
    is_unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, io.TextIOWrapper)
        is_terminal = os.isatty(stream.fileno())
        stream.reconfigure(
            line_buffering=is_terminal or stream is sys.stderr, write_through=is_unbuffered
        )


def _run_script(command: Sequence[str]) -> int:
    """Run a script or `-m` and a module, with arguments, and return the exit code."""
    nursery_main.show_as([sys.executable, *command])
    is_module = command[0] == "-m"
    sys.argv[:] = command[is_module:]
    folder = os.getcwd() if is_module else os.path.dirname(command[0])
    more = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[0:0] = [folder, *filter(None, more)]
    setattr(become, "start_nursery", _fork_nursery)  # noqa: B010  # it is not exported
    os.execve = _replace_process  # type: ignore[assignment]  # only lists of text are used here
    if is_module:
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(command[0], run_name="__main__")
    return 0


def run(life: Main) -> int:
    """Be one program after the other, as a process does that replaces itself; return its code."""
    while True:
        try:
            return life()
        except Becomes as other:
            life = other.begin
        except SystemExit as end:
            return _exit_code(end)
        except BaseException:
            traceback.print_exc()
            return 1


def _exit_code(end: SystemExit) -> int:
    """Return the exit code that the interpreter makes of this, and print what it prints."""
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    sys.stderr.write(f"{end.code}\n")
    return 1


def _fork_nursery(module: str, environ: dict[str, str]) -> NurseryProcess:
    """Start the nursery, as `nursery_start.start_nursery` does."""
    assert module == become.NURSERY
    ours, theirs = socket.socketpair()
    # The nursery lets them through once it has handlers.
    held = signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL_SIGNALS)
    pid = os.fork()
    if not pid:
        ours.close()
        os.dup2(os.open(os.devnull, os.O_RDONLY), STANDARD[0])
        words = ["--control", str(theirs.detach()), "--room", ROOM]
        raise Becomes(module, words, environ, nursery_main.main)
    signal.pthread_sigmask(signal.SIG_SETMASK, held)
    theirs.close()
    return NurseryProcess(ours.detach(), pid)


def _replace_process(path: str, command: list[str], environ: Mapping[str, str]) -> NoReturn:
    """Be the supervisor from now on, or really another program."""
    if SUPERVISOR in command:
        words = command[command.index(SUPERVISOR) + 1 :]
        raise Becomes(SUPERVISOR, words, environ, supervisor.main)
    _execve(path, command, environ)


if __name__ == "__main__":
    raise SystemExit(main())
