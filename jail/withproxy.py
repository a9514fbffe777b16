"""`ccproxy run -- CMD`: runs a command whose SDKs talk to the proxy.

No Django, so that it starts and ends fast. Exit code, signals, terminal and job
control are the command's own. Nothing is read from the current directory, whose settings could
point the command elsewhere.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from interceptor.config.files.directory import config_dir
from jail.run.base_urls import Route, new_run
from jail.run.run_plan import RunPlan, forward_plan_for, plan_for
from providers.base.loopback import is_loopback
from providers.base.nearest import name_hint

if TYPE_CHECKING:
    from interceptor.operate.command_settings import CommandSettings
    from jail.run.found_interceptor import Found

HELP = """\
usage: ccproxy run [--quiet | --print] [--open] [--stored] [--] COMMAND [ARGUMENT ...]
       ccproxy run --forward [--all] [--quiet | --print] [--open] [--] COMMAND [ARGUMENT ...]
       ccproxy run --inspect [JAIL OPTION ...] [--] COMMAND [ARGUMENT ...]

Run COMMAND with ANTHROPIC_BASE_URL, OPENAI_BASE_URL, OPENAI_API_BASE and
GOOGLE_GEMINI_BASE_URL set to the proxy, which is started if none runs. COMMAND
keeps its own key or login. Its exit code is COMMAND's.

  -q, --quiet    say nothing, neither the console's link nor the summary at the end
  --print        print what would be set for COMMAND, and run nothing
  --open         open the browser at the flows of this run, signed in
  --stored       use the keys stored in ccproxy and its rules, not COMMAND's own key
  --forward      set HTTPS_PROXY and the certificate variables instead of base URLs: COMMAND
                 talks to its own hosts. Those of providers are read, others pass unread
  --all          with --forward: read the traffic with all hosts
  -i, --inspect  capture everything COMMAND sends, not only its SDK calls: the same as ccproxy jail
  -h, --help     show this help
"""
_FLAGS = ("--print", "--stored", "--forward", "--all", "--open")
_OPTIONS = ("--inspect", "--quiet", *_FLAGS, "--help")
_INSPECT, _PROG = ("-i", "--inspect"), "ccproxy run --inspect"
_QUIET, _HELP = ("-q", "--quiet"), ("-h", "--help")
type Database = Callable[[], Mapping[str, Any]]
"""Returns the database with the record, as an entry of Django's `DATABASES`."""


def main(arguments: list[str], database: Database) -> int:
    """Run the command after the options; return its exit code.

    Raises:
        ConfigError: the server settings are refused, or the proxy cannot be started.
    """
    options, command = split_options(arguments)
    if set(options) & set(_INSPECT):
        from jail.command import main as jail

        words = [word for word in options if word not in _INSPECT]
        return jail(words + arguments[len(options) :], prog=_PROG)
    if set(options) & set(_HELP):
        sys.stdout.write(HELP)
        return 0
    if mistake := _mistake_in(command, options):
        return _fail(mistake)
    if "--print" in options:
        return _print(command, options)
    if shutil.which(command[0]) is None:
        # Fails as a shell does, before anything is started for it.
        return _become(command, dict(os.environ))
    # Imported only here: they take longer than the help.
    from interceptor.operate.command_settings import load_command_settings
    from jail.run.found_interceptor import find_or_start

    directory = config_dir()
    settings = load_command_settings(directory, os.environ)
    found = find_or_start(settings, directory)
    own_credentials = settings.own_credentials and "--stored" not in options
    route = Route(found.proxy_url, new_run(command[0]), own_credentials)
    route, given = _given_by(settings, directory, route)
    plan = _plan(command, route, options)
    if plan.by_forward:
        plan, given = _with_listener(plan, settings, directory, route.run, options), {}
    environ = {**os.environ, **given, **plan.variables}
    if "--open" in options:
        _open(directory, found, route.run)
    # Waiting for the command as a launcher needs Linux.
    if set(options) & set(_QUIET) or sys.platform != "linux":
        found.lock.keep_over_exec()
        return _become(plan.command, environ)
    if plan.doubt:
        _say(plan.doubt)
    return _accompany(plan.command, environ, found, route.run, database)


def _mistake_in(command: list[str], options: list[str]) -> str:
    """Return a sentence about words that mean nothing together; "" if they do."""
    if not command:
        return "run needs a command: ccproxy run -- COMMAND [ARGUMENT ...]"
    if "--all" in options and "--forward" not in options:
        return "--all reads what comes by the forward proxy; add --forward"
    return ""


def _plan(command: list[str], route: Route, options: list[str]) -> RunPlan:
    if "--forward" in options:
        return forward_plan_for(command, os.environ)
    return plan_for(command, route, os.environ)


def _with_listener(
    plan: RunPlan, settings: CommandSettings, directory: Path, run: str, options: list[str]
) -> RunPlan:
    """Take a listener of the forward proxy, which ends with this process and its children.

    Raises:
        ConfigError: the proxy that runs is another configuration's, or has no listener left.
    """
    from interceptor.wireguard.lease_client import take_forward_lease
    from jail.ca_bundle import write_bundle
    from jail.run.forward_variables import forward_variables

    bundle = write_bundle(directory, Path(settings.cert_dir), os.environ)
    url, lease = take_forward_lease(
        directory,
        label=run,
        command=plan.command,
        hosts=plan.hosts,
        reads_all="--all" in options,
    )
    # Held by the command too: its last process ends the listener.
    os.set_inheritable(lease.detach(), True)
    return replace(plan, variables=forward_variables(url, bundle, os.environ))


def _print(command: list[str], options: list[str]) -> int:
    """Print the variables and the command line, as a shell takes them. Starts nothing."""
    from interceptor.operate.command_settings import load_command_settings

    settings = load_command_settings(config_dir(), os.environ)
    own_credentials = settings.own_credentials and "--stored" not in options
    plan = _plan(command, Route(settings.proxy_url, "NAME", own_credentials), options)
    if plan.by_forward:
        from jail.ca_bundle import FILE_NAME
        from jail.run.forward_variables import forward_variables

        url, bundle = "http://run:PASSWORD@127.0.0.1:PORT", config_dir() / FILE_NAME
        plan = replace(plan, variables=forward_variables(url, bundle, os.environ))
    for name, value in plan.variables.items():
        sys.stdout.write(f"{name}={shlex.quote(value)}\n")
    sys.stdout.write(f"{shlex.join(plan.command)}\n")
    if plan.doubt:
        _say(plan.doubt)
    return 0


def _given_by(
    settings: CommandSettings, directory: Path, route: Route
) -> tuple[Route, dict[str, str]]:
    """Return the route with a client token where the proxy requires one, and keys with it."""
    if is_loopback(settings.host):
        return route, {}
    from jail.run_token import run_token, with_token

    token = run_token(directory)
    return replace(route, token=token), with_token(os.environ, token)


def _accompany(
    command: list[str], environ: dict[str, str], found: Found, run: str, database: Database
) -> int:
    """Run the command as a child; say on stderr where it is seen and what came of it."""
    from jail.run.console_link import run_link
    from jail.supervise import end_like, hold_signals, wait_for

    link = run_link(config_dir(), found.console_url, run, is_own=found.is_own)
    _say(f"recording to {link}")
    held = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    hold_signals()
    try:
        child = subprocess.Popen(  # noqa: S603  # running the user's command is the purpose
            command,
            env=environ,
            close_fds=False,
            preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, held),
        )
    except (OSError, ValueError) as exc:
        return _refused(command, exc)
    status = wait_for(child.pid)
    child.returncode = os.waitstatus_to_exitcode(status)
    _summarize(run, found, command[0], database)
    found.lock.release()
    return end_like(status)


def _open(directory: Path, found: Found, run: str) -> None:
    """Open the browser. Where there is none, the line with the link has to do."""
    from jail.run.console_link import open_run

    if not open_run(directory, found.console_url, run):
        _say("there is no browser to open; ccproxy login prints a link into the console")


def _summarize(run: str, found: Found, program: str, database: Database) -> None:
    """Write the summary. A database that cannot be read must not change the command's exit code."""
    from interceptor.operate.liveness import RecordWatch
    from jail.run.console_link import run_link
    from jail.run.run_totals import summary

    proxy = urlsplit(found.proxy_url)
    watch = RecordWatch(proxy.hostname or "", proxy.port or 0)
    try:
        text = summary(run, database(), watch.is_stored)
    except Exception as exc:
        _say(f"the summary cannot be read: {exc}")
        return
    if not text:
        _say(
            f"no request of {program} came through ccproxy: it may ignore the variables that were"
            f" set. To see all that it sends: ccproxy jail -- {program}"
        )
        return
    # The first link is spent by now, or too old.
    link = run_link(config_dir(), found.console_url, run, is_own=found.is_own)
    _say(f"{text}; see: {f'ccproxy start, then {link}' if found.is_own else link}")


def _say(sentence: str) -> None:
    sys.stderr.write(f"ccproxy: {sentence}\n")
    sys.stderr.flush()


def split_options(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Split our own options from the command, which begins at the first other word."""
    ours = (*_INSPECT, *_QUIET, *_HELP, *_FLAGS)
    end = 0
    while end < len(arguments) and arguments[end] in ours:
        end += 1
    command = arguments[end:]
    if command[:1] == ["--"]:
        command = command[1:]
    return arguments[:end], command


def _become(command: list[str], environ: dict[str, str]) -> int:
    """Replace this process. Return 127 if there is no such command, 126 if it cannot be run."""
    sys.stdout.flush()
    sys.stderr.flush()
    # Python ignores these, and a child would inherit that: `ccproxy run -- yes | head` must end as
    # `yes | head` does.
    before = {
        number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGPIPE, signal.SIGXFSZ)
    }
    try:
        _exec(command, environ)
    except (OSError, ValueError) as exc:
        return _refused(command, exc)
    finally:
        # It was not replaced. With SIGPIPE's default, one closed socket would end it silently.
        for number, handler in before.items():
            signal.signal(number, handler)


def _refused(command: list[str], error: OSError | ValueError) -> int:
    """Say why the command cannot be run; return the exit code that a shell would."""
    if isinstance(error, FileNotFoundError):
        return _fail(_missing(command[0]), 127)
    if isinstance(error, OSError):
        return _fail(f"cannot run {command[0]}: {error.strerror}", 126)
    return _fail(f"cannot run this command: {error}", 126)


def _exec(command: list[str], environ: dict[str, str]) -> NoReturn:
    os.execvpe(command[0], command, environ)  # noqa: S606  # running the user's command is the purpose


def _missing(name: str) -> str:
    if "/" in name and Path(name).exists():
        return f"cannot run {name}: its interpreter does not exist"
    if name.startswith("-"):
        return f"there is no option {name}; {name_hint(name, _OPTIONS)}"
    where = "" if "/" in name else " on PATH"
    return f"there is no command “{name}”{where}"


def _fail(sentence: str, code: int = 1) -> int:
    sys.stderr.write(f"ccproxy: {sentence}\n")
    return code
